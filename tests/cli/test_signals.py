"""Ctrl-C and SIGTERM: what the first does, and what the second."""

import os
import signal
import subprocess
import sys
import time

import pytest

from populace.cli.signals import handled


def _soon(what, number: int = signal.SIGTERM) -> None:
    """Send this process a signal, and wait until something came of it."""
    os.kill(os.getpid(), number)
    for _ in range(500):
        if what():
            return
        time.sleep(0.01)
    raise AssertionError("nothing came of the signal")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_is_noted_where_a_run_stops_by_itself_and_the_second_raises(number):
    said = []
    before = signal.getsignal(number)
    with handled(lambda: True, said.append) as caught:
        _soon(lambda: caught and said, number)
        assert caught == [number]
        assert said == ["stopping after this window, with a checkpoint"]
        with pytest.raises(KeyboardInterrupt):
            _soon(lambda: False, number)
        assert caught.exit_code == 128 + number
    assert signal.getsignal(number) is before


def test_elsewhere_the_first_stops_at_once():
    said = []
    with handled(lambda: False, said.append) as caught:
        with pytest.raises(KeyboardInterrupt):
            _soon(lambda: False)
        assert caught == [signal.SIGTERM]


STUCK = """
import ctypes, signal
from populace.cli import signals

signals._GRACE = 0.1
with signals.handled(lambda: True, lambda line: print(line, flush=True)):
    # As in a long program of XLA: another thread takes the signal, and Python's own handler is not called.
    signal.pthread_sigmask(signal.SIG_BLOCK, signals.SIGNALS)
    print("ready", flush=True)
    ctypes.CDLL(None).pause()
"""


def test_a_process_that_does_not_heed_its_second_signal_is_ended():
    process = subprocess.Popen([sys.executable, "-c", STUCK], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "stopping after this window, with a checkpoint\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 128 + signal.SIGTERM
