"""A worker: a process beside the training process that holds several environments.

Workers are started as new interpreters, never forked: JAX has threads, and a fork of a process with threads
may deadlock. They end when the run ends, however it ends.
"""

import json
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

import numpy as np

from populace.rl.vector_env.process import messages
from populace.rl.vector_env.process.making import Spec

# The import path of the run, so that a worker finds the same packages and classes.
_MAIN = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from populace.rl.vector_env.process.serving import main; main(int(sys.argv[2]))"
)
# In seconds: interval between checks of a worker's progress, time it gets to exit, and time it gets to start.
_POLL, _EXIT, _START = 0.5, 2.0, 120.0


class WorkerDied(Exception):  # noqa: N818  it names what happened to a process
    """A worker ended or hangs; the message says which."""


class Worker:
    """One worker process."""

    def __init__(self, spec: Spec, memory: int) -> None:
        self.channel, other = socket.socketpair()
        environment = os.environ | {"JAX_PLATFORMS": "cpu"}  # the accelerator belongs to the training process
        for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            environment.setdefault(threads, "1")
        paths = json.dumps([str(p) or os.getcwd() for p in sys.path])
        with other:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", _MAIN, paths, str(other.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=environment,
                pass_fds=(other.fileno(), memory),
                start_new_session=True,
            )  # fmt: skip  a session of its own, so that Ctrl-C reaches the training process alone
        self._started = False
        self._readable = select.poll()
        self._readable.register(self.channel, select.POLLIN)
        self.send(pickle.dumps(spec))

    def send(self, message: bytes) -> None:
        """Send a message, to be answered by `answer`."""
        with suppress(ConnectionError):  # waiting for the answer tells why the connection is gone
            messages.send(self.channel, message)

    def answer(self, timeout: float, progress: np.ndarray | None = None) -> Any:
        """Wait for the answer to the last message.

        Args:
            timeout: seconds without progress after which the worker counts as hanging.
            progress: the worker's entry in shared memory, which changes with every step.

        Raises:
            WorkerDied: the process ended, or hangs.

        """
        if not self._started:
            self._wait(_START, None)
            self._started = True
        answer = self._wait(timeout, progress)
        return pickle.loads(answer) if answer else None

    def _wait(self, timeout: float, progress: np.ndarray | None) -> bytes:
        last, since = None, time.monotonic()
        while not self._readable.poll(1000 * min(_POLL, timeout)):
            now = None if progress is None else tuple(progress.tolist())
            if now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since >= timeout:
                raise WorkerDied(f"no answer within {timeout:g} s")
        try:
            return messages.receive(self.channel)
        except (EOFError, ConnectionError):
            raise WorkerDied(f"its process {_ending(self.process)}") from None

    def kill(self) -> None:
        """Kill the process and everything it started, without waiting."""
        with suppress(ProcessLookupError, PermissionError):  # macOS: PermissionError if it has ended
            os.killpg(self.process.pid, signal.SIGKILL)

    def discard(self) -> None:
        """Kill the process and release its socket."""
        self.channel.close()
        self.kill()
        self.process.wait()

    def close(self) -> None:
        """Wait until the process has closed its environments, as asked by the last message, and ended."""
        with suppress(WorkerDied):
            self.answer(_EXIT)
        self.channel.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_EXIT)
        self.discard()


def _ending(process: subprocess.Popen) -> str:
    try:
        code = process.wait(_EXIT)
    except subprocess.TimeoutExpired:
        return "closed its socket"
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
