"""Joined: this process among the others, and messages between them by way of its agent."""

import io
import itertools
import os
import queue
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe
from typing import Any

import numpy as np

from populace.core.errors import RunError
from populace.engine.hosts.launcher import Launch

LOST = 75
"""Exit code where another process was lost, and `populace resume` goes on, as a scheduler may know."""
LIMIT = "POPULACE_HOST_LIMIT"
_LIMIT_SECONDS = 600.0
_SLICE_MS = 1000
_ANSWER = 12.0  # seconds
_REPORTS_FIRST = 10.0  # seconds more that the others wait: the first process knows who is missing
_SHOWN = 5
_GOING_ON = "`populace resume` goes on from the last checkpoint"


class LostError(RunError):
    """Another process ended, or does not come to where all meet."""

    exit_code = LOST


class Agent:
    """The agent of this process, and requests to it from any thread.

    Args:
        launch: what the launcher said.
        seconds: within which all processes must have met.

    """

    def __init__(self, launch: Launch, seconds: int) -> None:
        here, there = Pipe()
        words = ("" if x is None else str(x) for x in (launch.count, launch.index))
        path = os.pathsep.join(filter(None, sys.path))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "populace.engine.hosts.agent", str(there.fileno()), *words, str(seconds)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            pass_fds=[there.fileno()], env=os.environ | {"PYTHONPATH": path},
        )  # fmt: skip
        there.close()
        self._pipe: Connection = here
        self._answers: dict[int, queue.SimpleQueue[tuple[str, Any]]] = {}
        self._numbers, self._lock, self.ended = itertools.count(), threading.Lock(), False
        self.last_words = ""

    def joined(self) -> dict[str, Any]:
        """Wait until all processes have met; return which of them this is.

        Raises:
            RunError: they have not.

        """
        try:
            _, how, found = self._pipe.recv()
        except (EOFError, OSError):
            how, found = "failed", self._read_errors()
        if how != "joined" or not isinstance(found, dict):
            raise RunError(str(found))
        threading.Thread(target=self._listen, daemon=True, name="populace-hosts").start()
        threading.Thread(target=self._read_errors, daemon=True, name="populace-hosts-words").start()
        return found

    def call(self, what: str, *args: Any) -> tuple[str, Any]:
        """Ask the agent's client for something; return `done` and its answer, or a code and words.

        Raises:
            EOFError: the agent has ended, as it does when the first process has, or gets no answer.

        """
        answer: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        try:
            with self._lock:
                if self.ended:
                    raise EOFError
                number = next(self._numbers)
                self._answers[number] = answer
                self._pipe.send((number, what, args))
        except OSError as error:
            self.ended = True
            raise EOFError from error
        try:
            code, found = answer.get(timeout=_ANSWER)
        except queue.Empty:  # a machine that lost its network is told of nothing
            self.ended = True
            raise EOFError from None
        if code in ("ended", "UNAVAILABLE", "CANCELLED"):
            raise EOFError
        return code, found

    def leave(self) -> None:
        """Let the agent end without a word to the others."""
        try:
            with self._lock:
                self._pipe.send(None)
        except OSError:
            self.ended = True

    def _listen(self) -> None:
        while True:
            try:
                number, code, found = self._pipe.recv()
            except (EOFError, OSError):
                break
            self._answers.pop(number).put((code, found))
        with self._lock:
            self.ended = True
        for waiting in self._answers.values():
            waiting.put(("ended", None))

    def _read_errors(self) -> str:
        assert self._process.stderr is not None
        self.last_words = self._process.stderr.read().decode(errors="replace")
        return self.last_words


@dataclass
class Joined:
    """A process among the others.

    Attributes:
        agent: who carries messages.
        index: of this process; the first is 0, and writes.
        names: of all processes, with their machines.
        limit: seconds that a process waits for another where all meet.
        doing: what it waits for, or does.
        beating: held while a sign of life is left, so that none follows the last.
        ending: held by the thread that ends this process, so that no other says why.

    """

    agent: Agent
    index: int
    names: list[str]
    limit: float = field(default_factory=lambda: limit())
    doing: str = "starting"
    beating: threading.Lock = field(default_factory=threading.Lock)
    ending: threading.Lock = field(default_factory=threading.Lock)
    _met: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    def exchange(
        self, value: bytes, what: str, *, everywhere: bool = True, endless: bool = False, lane: str = "main"
    ) -> list[bytes]:
        """Give a value to the others and return what all gave, in the order of processes.

        The first process collects and hands out, so that a thousand processes send two thousand messages
        and not a million. A thread of its own has a lane of its own.

        Args:
            value: of this process.
            what: is being done, for the message if somebody does not come.
            everywhere: whether all are to know; else only the first does, and the others go on, and get what
                they gave.
            endless: wait for however long it takes.
            lane: messages of which this is the next.

        Raises:
            LostError: somebody did not come within the limit, or has ended.

        """
        number, self.doing = self._met[lane], what
        self._met[lane] = number + 1
        place = f"{lane}/{number}/"
        seconds = float("inf") if endless else self.limit
        if self.index:
            self.put(f"{place}{self.index}", value)
            if not everywhere:
                return [value]
            found = _unpacked(self.get(f"{place}all", seconds + _REPORTS_FIRST, [0]))
        else:
            until = time.monotonic() + seconds
            found = [value]
            for other in range(1, len(self.names)):
                missing = range(other, len(self.names))
                found.append(self.get(f"{place}{other}", until - time.monotonic(), missing, place))
            if everywhere:
                self.put(f"{place}all", _packed(found))
            if number > 1:  # nobody comes back to what all have left
                self.call("key_value_delete", f"{lane}/{number - 2}/")
        self.doing = "training"
        return found

    def call(self, what: str, *args: Any) -> tuple[str, Any]:
        """Ask the service of the first process for something; return `done` and its answer, or why not.

        Raises:
            LostError: the first process is gone, or cannot be reached.

        """
        try:
            return self.agent.call(what, *args)
        except EOFError:
            raise LostError(self.lost([0])) from None

    def put(self, key: str, value: bytes) -> None:
        """Leave a message."""
        code, why = self.call("key_value_set_bytes", key, value)
        if code != "done":
            raise RunError(f"a message to the other processes was refused: {why}")

    def get(self, key: str, seconds: float, missing: Sequence[int], place: str = "") -> bytes:
        """Wait for a message.

        Args:
            key: of the message.
            seconds: to wait at the most; one that is there is taken in any case.
            missing: processes that may not have come, for the message about it.
            place: below which each leaves its message, to see who has come.

        Raises:
            LostError: it did not come.

        """
        until = time.monotonic() + seconds
        while True:
            code, found = self.call("blocking_key_value_get_bytes", key, _SLICE_MS)
            if code == "done":
                return found
            if code != "DEADLINE_EXCEEDED":
                raise RunError(f"a message of another process cannot be read: {found}")
            if time.monotonic() > until:
                come = self.there(place) if place else set()
                raise LostError(self.stuck([i for i in missing if i not in come]))

    def there(self, place: str) -> set[int]:
        """Return the processes that have left a message below a place."""
        code, entries = self.call("key_value_dir_get_bytes", place)
        last = [key.rpartition("/")[2] for key, _ in entries] if code == "done" else []
        return {int(name) for name in last if name.isdecimal()}

    def lost(self, who: Sequence[int]) -> str:
        """Return the line about processes that have ended, or cannot be reached."""
        verb = "was" if len(who) == 1 else "were"
        return f"{self.called(who)} {verb} lost during '{self.doing}'; {_GOING_ON}"

    def stuck(self, missing: Sequence[int]) -> str:
        """Return the line about processes that do not come to where all meet."""
        return (
            f"{self.called(missing)} did not come to '{self.doing}' within {self.limit:g} seconds, and the "
            f"others end here; set {LIMIT} to more seconds if that was not enough"
        )

    def called(self, processes: Sequence[int]) -> str:
        """Return the names of processes, of many the first ones."""
        named = ", ".join(self.names[i] for i in processes[:_SHOWN])
        more = len(processes) - _SHOWN
        return named + (f" and {more} more" if more > 0 else "")


def limit(environment: Mapping[str, str] = os.environ) -> float:
    """Return the seconds that a process waits for another where all meet, `POPULACE_HOST_LIMIT`."""
    try:
        found = float(environment.get(LIMIT, _LIMIT_SECONDS))
    except ValueError:
        found = -1.0
    if not found > 0:
        raise RunError(f"{LIMIT} must be a number of seconds above 0, got '{environment.get(LIMIT)}'")
    return found


def pack_arrays(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return arrays by name as bytes."""
    into = io.BytesIO()
    np.savez(into, allow_pickle=False, **{f"_{name}": x for name, x in arrays.items()})
    return into.getvalue()


def unpack_arrays(packed: bytes) -> dict[str, np.ndarray]:
    """Return the arrays that `pack_arrays` packed."""
    with np.load(io.BytesIO(packed), allow_pickle=False) as found:
        return {name[1:]: found[name] for name in found.files}


def _packed(values: Sequence[bytes]) -> bytes:
    return b"".join(len(value).to_bytes(8, "big") + value for value in values)


def _unpacked(packed: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(packed):
        size = int.from_bytes(packed[at : at + 8], "big")
        found.append(packed[at + 8 : at + 8 + size])
        at += 8 + size
    return found
