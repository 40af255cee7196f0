"""Lock: one process at a time writes a run folder.

`lock.json` names the owner: host, process, and when that started. A killed owner leaves it behind. On the
same machine that is seen at once, for there is no such process any more. Another machine cannot see processes
here, so the owner touches the file every few seconds, and is taken for gone when it has not for a while.
"""

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from populace.core.errors import RunError
from populace.core.files import write
from populace.engine.hosts import is_writer, together
from populace.runs.integrity import failures, shared
from populace.runs.integrity.schemas import json_files

FILE = "lock.json"
_BEAT = 15.0  # seconds between signs of life
GONE_AFTER = 120.0
"""Seconds without a sign of life after which an owner on another machine is taken for gone."""

_held: set[str] = set()  # folders that this process trains


@dataclass(frozen=True)
class Owner:
    """The process that trains a run."""

    host: str
    pid: int
    since: str
    started: str = ""
    """When the process started, in ticks of its machine: numbers of processes are used again."""
    boot: str = ""
    namespace: str = ""
    """In containers, processes have numbers of their own."""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which must be there; of several processes that train together, one does.

    Raises:
        RunError: another process holds it, or it cannot be written.
        UsageError: the processes do not see the same folder.

    """
    if not is_writer():
        shared.check(folder, FILE)
        yield
        return
    key = str(folder.resolve())
    try:
        with _alone(folder):
            if other := _owner_in_the_end(folder):
                raise RunError(
                    f"'{folder}' is in use: {other} trains it; wait for its end, or stop it and try again"
                )
            write(folder / FILE, json.dumps(asdict(_self()), indent=1))
    except (OSError, MemoryError) as error:
        raise RunError(failures.reason(error, folder)) from None
    _held.add(key)
    ended = threading.Event()
    beat = threading.Thread(target=_beat, args=(folder / FILE, ended), daemon=True, name="populace-lock")
    beat.start()
    try:
        shared.check(folder, FILE)
        with together.if_lost(lambda: _release(folder)):
            yield
    finally:
        ended.set()
        beat.join()
        _held.discard(key)
        _release(folder)


def _release(folder: Path) -> None:
    with contextlib.suppress(OSError), _alone(folder):
        if _is_own(folder):
            (folder / FILE).unlink()


def check(folder: Path) -> None:
    """Raise a `RunError` if the folder is gone, or another process has taken it over."""
    if not is_writer():
        return
    if not folder.is_dir():
        raise RunError(f"'{folder}' was removed while it was trained; nothing of the run is left")
    if not _is_own(folder):
        other = owner(folder)
        raise RunError(f"'{folder}' was taken over by {other or 'another process'}; this one ends here")


def owner(folder: Path) -> Owner | None:
    """Return who trains a run; None if nobody does, or the one who did is gone."""
    file = folder / FILE
    try:
        found = Owner(**json_files.read(file))
        silent = time.time() - file.stat().st_mtime
    except (OSError, ValueError, TypeError):  # absent, or damaged by what ended its owner
        return None
    here = _self()
    if (found.host, found.namespace) != (here.host, here.namespace):
        return found if silent < GONE_AFTER else None
    if found.boot != here.boot:
        return None
    if found.pid == here.pid and found.started == here.started:
        return found if str(folder.resolve()) in _held else None
    return found if _lives(found) else None


def _owner_in_the_end(folder: Path) -> Owner | None:
    """Return who trains a run; a job that was started again waits until the one before is seen to be gone."""
    until, here = time.monotonic() + GONE_AFTER, socket.gethostname()
    while (other := owner(folder)) and other.host != here and together.count() > 1:
        if time.monotonic() > until:
            break
        time.sleep(1.0)
    return other


def _is_own(folder: Path) -> bool:
    try:
        found = json_files.read(folder / FILE)
        here = _self()
        return (found["host"], found["pid"], found["started"]) == (here.host, here.pid, here.started)
    except (OSError, ValueError, TypeError, KeyError):
        return False


def _lives(found: Owner) -> bool:
    try:
        os.kill(found.pid, 0)
    except (ProcessLookupError, OverflowError, TypeError):
        return False
    except PermissionError:
        pass  # of another user, so it is there
    now = _started(found.pid)
    return not (found.started and now) or found.started == now


def _self() -> Owner:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    boot = _text("/proc/sys/kernel/random/boot_id")
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    pid = os.getpid()
    return Owner(socket.gethostname(), pid, since, _started(pid), boot, namespace)


def _started(pid: int) -> str:
    """Return when a process started, in ticks since the machine did; `ended` of a zombie."""
    fields = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if len(fields) < 20:
        return ""
    return "ended" if fields[0] == "Z" else fields[19]


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _beat(file: Path, ended: threading.Event) -> None:
    while not ended.wait(_BEAT):
        with contextlib.suppress(OSError):
            os.utime(file)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process on this machine look and write at a time: two would both take over a stale lock."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems lock no folders
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
