"""Workers: processes outside the program, each of which holds several environments.

They are started as programs of their own, never forked: JAX has threads, and a copy of a process with
threads may hang for ever. They end with the run, however it ends.
"""

import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from populace.rl.vector_env.process import messages
from populace.rl.vector_env.process.making import Spec

_FOLDER = str(Path(__file__).parent / "process")
# The folder becomes a package by itself, so that nothing above it is imported.
_START = (
    "import sys, types; package = types.ModuleType('populace_process'); package.__path__ = [sys.argv[1]]; "
    "sys.modules['populace_process'] = package; from populace_process.serving import main; "
    "main(int(sys.argv[2]))"
)
# Seconds: between two looks at a silent process, given to one that is to leave, and to one that starts.
_LOOK, _LEAVE, _STARTING = 0.5, 2.0, 120.0


class WorkerDied(Exception):  # noqa: N818  it says what happened to a process
    """A process is gone, or hangs; the message says which."""


class Worker:
    """One process."""

    def __init__(self, spec: Spec, memory: int) -> None:
        self.channel, other = socket.socketpair()
        environment = os.environ | {"JAX_PLATFORMS": "cpu"}  # the accelerator is the program's
        for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            environment.setdefault(threads, "1")
        with other:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, _FOLDER, str(other.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=environment,
                pass_fds=(other.fileno(), memory),
                start_new_session=True,
            )  # fmt: skip  a session of its own: Ctrl-C is for the run to deal with
        self._started = False
        self._watch = select.poll()
        self._watch.register(self.channel, select.POLLIN)
        paths = [p or os.getcwd() for p in sys.path]
        self.send(pickle.dumps(paths))
        self.send(pickle.dumps((spec.registered, spec.identifier, spec.arguments, spec.limit)))

    def send(self, message: bytes) -> None:
        """Ask for something."""
        with suppress(ConnectionError):  # waiting for the answer tells what happened
            messages.send(self.channel, message)

    def answer(self, timeout: float, busy: np.ndarray | None = None) -> Any:
        """Wait for the answer to the last message.

        Args:
            timeout: seconds without any sign of life that are too many.
            busy: where the process leaves word of what it does.

        Raises:
            Lost: the process has ended, or hangs.

        """
        if not self._started:
            self._wait(_STARTING, None)
            self._started = True
        answer = self._wait(timeout, busy)
        return pickle.loads(answer) if answer else None

    def _wait(self, timeout: float, busy: np.ndarray | None) -> bytes:
        sign, since = None, time.monotonic()
        while not self._watch.poll(1000 * min(_LOOK, timeout)):
            now = None if busy is None else tuple(busy.tolist())
            if now != sign:
                sign, since = now, time.monotonic()
            elif time.monotonic() - since >= timeout:
                raise WorkerDied(f"no answer within {timeout:g} s")
        try:
            return messages.receive(self.channel)
        except (EOFError, ConnectionError):
            raise WorkerDied(f"its process {_ending(self.process)}") from None

    def end(self) -> None:
        """End the process and what it started, at once."""
        with suppress(ProcessLookupError, PermissionError):  # PermissionError: macOS, of one that has ended
            os.killpg(self.process.pid, signal.SIGKILL)

    def kill(self) -> None:
        """End the process, and take leave of it."""
        self.channel.close()
        self.end()
        self.process.wait()

    def leave(self) -> None:
        """Let the process close its environments and end."""
        with suppress(WorkerDied):
            self.answer(_LEAVE)
        self.channel.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_LEAVE)
        self.kill()


def _ending(process: subprocess.Popen) -> str:
    try:
        code = process.wait(_LEAVE)
    except subprocess.TimeoutExpired:
        return "closed its socket"
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
