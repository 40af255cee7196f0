"""Ctrl-C and SIGTERM: the first stops a run where nothing is lost, the second at once.

Python calls its handlers between two of its own instructions, and a run may spend minutes inside XLA. So a
thread hears of signals too: it says what happens, and ends the process if the second one is not heeded.
"""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SOON = 0.3  # seconds in which a run that stops at once says so itself
_GRACE = 2.0  # seconds that a second signal waits for Python's own handler


class Caught(list[int]):
    """The signals that came, by number; true once there is one."""

    @property
    def exit_code(self) -> int:
        """The exit code of a process that a signal ended."""
        return 128 + (self[0] if self else signal.SIGINT)


def end_at_once() -> None:
    """Let the next signal end the process, which is about to end by itself."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def handled(finishes: Callable[[], bool], say: Callable[[str], None]) -> Iterator[Caught]:
    """Handle signals inside the block.

    Args:
        finishes: whether a first signal is only noted, for the run to stop by itself where it can go on;
            elsewhere it raises `KeyboardInterrupt`, as a second one always does.
        say: is told in words what happens.

    """
    caught = Caught()

    def catch(number: int, frame: Any) -> None:
        caught.append(number)
        if len(caught) > 1 or not finishes():
            raise KeyboardInterrupt

    def listen() -> None:
        heard = 0
        while number := ear.recv(1):
            if number[0] not in SIGNALS:
                continue
            heard += 1
            if heard == 1 and finishes():
                say("stopping after this window, with a checkpoint")
            elif heard == 1:
                if not left.wait(_SOON):
                    say("stopping")
            elif not left.wait(_GRACE):
                os._exit(128 + number[0])

    left = threading.Event()
    ear, mouth = socket.socketpair()
    mouth.setblocking(False)
    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    before = {number: signal.signal(number, catch) for number in SIGNALS}
    woken = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)
    try:
        yield caught
    finally:
        left.set()
        signal.set_wakeup_fd(woken)
        for number, handler in before.items():
            signal.signal(number, handler)
        mouth.close()  # ends the thread
        thread.join(_GRACE)
        ear.close()
