"""Messages between a run and its worker processes, and the memory that they share.

Observations and actions lie in shared memory, one record per environment. Everything else goes through a
socket, as messages: the length in bytes, then the content.
"""

import mmap
import pickle
import socket
import struct
from typing import Any

import numpy as np

HEADER = 16  # bytes per worker before the records: the slot it is working on, and a progress counter
WORKERS = 256
SLOTS = 65_536  # maximum number of environments; unused memory is never allocated, because it is sparse
STEP, CALL = b"step", b"call"


def send(channel: socket.socket, message: bytes) -> None:
    """Send one message, preceded by its length."""
    channel.sendall(struct.pack("<I", len(message)) + message)


def receive(channel: socket.socket) -> bytes:
    """Return one message.

    Raises:
        EOFError: the other side closed the socket.

    """
    (length,) = struct.unpack("<I", _exactly(channel, 4))
    return _exactly(channel, length)


def call(name: str, *arguments: Any) -> bytes:
    """Return the message that calls a method of the server."""
    return CALL + pickle.dumps((name, arguments))


def step(slots: np.ndarray) -> bytes:
    """Return the message for the common case: a step in each slot, without replays."""
    return STEP + slots.astype(np.uint32).tobytes()


def record(observation: tuple[str, tuple[int, ...]], action: tuple[str, tuple[int, ...]]) -> np.dtype:
    """Return the layout of one environment's shared record, given (dtype, shape) of observation and action.

    `next_seed` is the seed of the next episode, `obs_checksum` the CRC-32 of `observation`, and
    `final_observation` the last observation of an episode that has just ended.
    """
    fields = [
        ("next_seed", "u4"), ("obs_checksum", "u4"), ("reward", "f4"), ("terminated", "?"),
        ("truncated", "?"), ("action", *action), ("observation", *observation),
        ("final_observation", *observation),
    ]  # fmt: skip
    return np.dtype(fields, align=True)


def size(layout: np.dtype) -> int:
    """Return the size of the shared memory in bytes."""
    return HEADER * WORKERS + SLOTS * layout.itemsize


def mapped(memory: int, layout: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Map the shared memory with this file descriptor: progress (WORKERS, 2) and records (SLOTS,)."""
    whole = mmap.mmap(memory, size(layout))
    progress = np.ndarray((WORKERS, 2), np.int64, whole)
    return progress, np.ndarray((SLOTS,), layout, whole, HEADER * WORKERS)


def _exactly(channel: socket.socket, length: int) -> bytes:
    parts, missing = [], length
    while missing:
        part = channel.recv(missing)
        if not part:
            raise EOFError
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
