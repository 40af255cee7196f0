"""The server of the live page: for this machine alone, it reads the run folder and runs nothing of it."""

import contextlib
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from populace.core.errors import PopulaceError, UsageError
from populace.report.runs import RunLike
from populace.report.watch.page import Content, page, parts
from populace.report.watch.words import ProgressLike

HOST = "127.0.0.1"


class LiveRun(RunLike, Protocol):
    """A run that can be read while it trains, and says when there is something new to see."""

    def changed_at(self) -> tuple[float, ...]:
        """Return what differs once there is something new."""
        ...


class Server:
    """Serves the page of one run; `with Server(...) as server:` runs it in a thread at `server.url`.

    The page asks every two seconds whether something is new; charts are made again only then. Requests that
    name another host are refused, so that no page of the internet reaches the run by way of a browser.

    Args:
        run: read as far as it is.
        progress: returns how far it is.
        port: of this machine; 0 for any that is free.

    Raises:
        UsageError: the port is taken.

    """

    def __init__(self, run: LiveRun, progress: Callable[[], ProgressLike], port: int = 0) -> None:
        self._run, self._progress = run, progress
        self._lock = threading.Lock()
        self._seen: tuple[float, ...] | None = None
        self._content = Content(None, [], None)
        self.version = 0
        try:
            self._server = ThreadingHTTPServer((HOST, port), _handler(self))
        except OSError as error:
            raise UsageError(
                f"port {port} cannot be used: {error.strerror}; choose another by --port"
            ) from None
        self._server.daemon_threads = True

    @property
    def port(self) -> int:
        """The port that it listens at."""
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        """Where a browser finds the page."""
        return f"http://{HOST}:{self.port}/"

    def __enter__(self) -> "Server":
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()
        return self

    def __exit__(self, *failed: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def content(self) -> tuple[int, Content]:
        """Return what there is to see, and a number that grows with it."""
        with self._lock:
            seen = self._run.changed_at()
            if seen != self._seen:
                self._content = Content.of(self._run)
                self._seen, self.version = seen, self.version + 1
            return self.version, self._content

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Return status, type and body of what is asked for by a path."""
        asked = urlsplit(path)
        if asked.path == "/":
            version, content = self.content()
            name = content.reading.name if content.reading else Path(self._run.path).name
            text = page(content, self._progress(), name).replace("LIVE_VERSION", str(version), 1)
            return 200, "text/html; charset=utf-8", text.encode()
        if asked.path == "/now.json":
            version, content = self.content()
            found: dict[str, Any] = {"version": version, "parts": parts(content, self._progress())}
            if parse_qs(asked.query).get("seen") != [str(version)]:
                found["specs"] = content.specs
            return 200, "application/json", json.dumps(found).encode()
        if asked.path == "/report.html" and (file := Path(self._run.path) / "report.html").is_file():
            return 200, "text/html; charset=utf-8", file.read_bytes()
        return 404, "text/plain; charset=utf-8", b"there is no such page"


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            ours = {f"{name}:{server.port}" for name in (HOST, "localhost")}
            try:
                if self.headers.get("Host") not in ours:
                    status, kind, body = 403, "text/plain; charset=utf-8", b"ask for 127.0.0.1"
                else:
                    status, kind, body = server.answer(self.path)
            except (PopulaceError, OSError) as error:  # a file that is being replaced, or the folder is gone
                status, kind, body = 503, "text/plain; charset=utf-8", str(error).encode()
            with contextlib.suppress(ConnectionError):  # the browser has left
                self._send(status, kind, body)

        def _send(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            for name, value in {
                "Content-Type": kind, "Content-Length": str(len(body)), "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "frame-ancestors 'none'",
            }.items():  # fmt: skip
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the terminal has the address."""

    return Handler
