"""Messages between a run and its processes, and the memory that they share.

Observations and actions lie in records, one per environment, that all processes map. What goes through
a socket is a message: its length, one letter for its kind, and what it says.
"""

import mmap
import pickle
import socket
import struct
from typing import Any

import numpy as np

HEADER = 16  # bytes per process, before the records: the slot it is busy with, and a count of its deeds
PROCESSES = 256
SLOTS = 65_536  # room for so many; the memory is sparse: what no environment uses takes none
STEP, CALL = b"step", b"call"


def send(channel: socket.socket, message: bytes) -> None:
    """Send one message, with its length in front."""
    channel.sendall(struct.pack("<I", len(message)) + message)


def receive(channel: socket.socket) -> bytes:
    """Return one message.

    Raises:
        EOFError: the other side is gone.

    """
    (length,) = struct.unpack("<I", _exactly(channel, 4))
    return _exactly(channel, length)


def call(name: str, *arguments: Any) -> bytes:
    """Return the message that calls a method of the server."""
    return CALL + pickle.dumps((name, arguments))


def step(slots: np.ndarray) -> bytes:
    """Return the message for the common case: steps, and nothing to replay."""
    return STEP + slots.astype(np.uint32).tobytes()


def record(observation: tuple[str, tuple[int, ...]], action: tuple[str, tuple[int, ...]]) -> np.dtype:
    """Return the layout of what is shared of one environment, given (type, shape) of what is in it.

    `next` is the seed that the next episode begins with, `seen` a checksum of the observation.
    """
    fields = [
        ("next", "u4"), ("seen", "u4"), ("reward", "f4"), ("terminated", "?"), ("truncated", "?"),
        ("action", *action), ("observation", *observation), ("final", *observation),
    ]  # fmt: skip
    return np.dtype(fields, align=True)


def size(layout: np.dtype) -> int:
    """Return the bytes of the shared memory."""
    return HEADER * PROCESSES + SLOTS * layout.itemsize


def mapped(memory: int, layout: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Map the shared memory: (what each process is busy with, the records)."""
    whole = mmap.mmap(memory, size(layout))
    busy = np.ndarray((PROCESSES, 2), np.int64, whole)
    return busy, np.ndarray((SLOTS,), layout, whole, HEADER * PROCESSES)


def _exactly(channel: socket.socket, length: int) -> bytes:
    parts, missing = [], length
    while missing:
        part = channel.recv(missing)
        if not part:
            raise EOFError
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
