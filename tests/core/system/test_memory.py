"""Memory that was freed is the system's again."""

import sys
from pathlib import Path

import pytest

from populace.core.system import memory


def resident() -> int:
    """Return the bytes that this process has in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(sys.platform != "linux" or memory._trim() is None, reason="needs the GNU C library")
def test_what_was_freed_in_small_pieces_goes_back():
    memory.give_back()
    pieces = [bytearray(b"x" * 5000) for _ in range(20_000)]
    pieces = pieces[-1:]  # the last is in the way of all before it
    kept = resident()
    memory.give_back()
    assert kept - resident() > 50e6
    assert len(pieces) == 1
