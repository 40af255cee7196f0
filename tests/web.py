"""A web server on this machine that answers as it is told, for tests of downloads."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Answer:
    """What a request gets: the first half of the body, then, when `gate` is open, the rest."""

    body: bytes = b""
    status: int = 200
    length: int | None = None  # what the header says, where that is not the truth
    hang_up: bool = False  # without a word
    gate: threading.Event | None = None


@dataclass
class Web:
    """The server: `answers[path]` are given one after the other, the last one again and again."""

    url: str
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def serve(self, path: str, *answers: Answer) -> str:
        """Say what a path answers; return its URL."""
        self.answers[f"/{path}"] = list(answers)
        return f"{self.url}{path}"

    def wait_for(self, requests: int, timeout: float = 60.0) -> bool:
        """Wait until so many requests have come; return whether they have."""
        with self.arrived:
            return self.arrived.wait_for(lambda: len(self.requests) >= requests, timeout)


@contextmanager
def serving() -> Iterator[Web]:
    """Run a server on a free port while the block lasts."""
    given: defaultdict[str, int] = defaultdict(int)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with web.arrived:
                answers = web.answers.get(self.path, [Answer(status=404)])
                answer = answers[min(given[self.path], len(answers) - 1)]
                given[self.path] += 1
                web.requests.append(self.path)
                web.arrived.notify_all()
            if answer.hang_up:
                return
            self.send_response(answer.status)
            self.send_header(
                "Content-Length", str(len(answer.body) if answer.length is None else answer.length)
            )
            self.end_headers()
            half = len(answer.body) // 2 if answer.gate else len(answer.body)
            self.wfile.write(answer.body[:half])
            if answer.gate:
                self.wfile.flush()
                answer.gate.wait(60)
                try:
                    self.wfile.write(answer.body[half:])
                except OSError:  # nobody waited for it
                    return

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    web = Web(f"http://127.0.0.1:{server.server_address[1]}/")
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
