"""The idx format of the MNIST files: a magic number, the sizes, then the bytes."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from populace.data.download import damaged

_UNSIGNED_BYTES = 8
_GZIP = b"\x1f\x8b"


def header(shape: tuple[int, ...]) -> bytes:
    """Return what an idx file of unsigned bytes of that shape begins with.

    Two zero bytes, the type (8: unsigned byte) and the number of axes, then the size of each axis in 4
    bytes, the highest first. The values follow, the last axis fastest.
    """
    return struct.pack(f">4B{len(shape)}I", 0, 0, _UNSIGNED_BYTES, len(shape), *shape)


def read(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Read an idx file of unsigned bytes, packed by gzip or plain, that must have a given shape.

    Args:
        path: the file; whether it is packed is seen from its content, not from its name.
        shape: the sizes of the axes.

    Returns:
        the values, uint8, of that shape.

    Raises:
        RunError: it is not idx, has another shape, is cut off, too long, damaged, or cannot be read.

    """
    begin = header(shape)
    size = len(begin) + math.prod(shape)
    # One byte more than it should have: it shows what follows the end, and has gzip compare its checksum.
    content = _content(path, size + 1)
    if content[:4] != begin[:4]:
        found = content[:4].hex(" ") or "nothing"
        expected = f"{begin[:4].hex(' ')} (idx, {len(shape)} axes of bytes)"
        raise damaged(path, f"begins with {found}, expected {expected}")
    if len(content) >= len(begin) and content[: len(begin)] != begin:
        found = struct.unpack_from(f">{len(shape)}I", content, 4)
        raise damaged(path, f"holds an array of shape {found}, expected {shape}")
    if len(content) != size:
        found = f"ends after {len(content):,} bytes" if len(content) < size else "goes on after its end"
        raise damaged(path, f"{found}, expected {size:,} bytes")
    return np.frombuffer(content, np.uint8, offset=len(begin)).reshape(shape)


def _content(path: Path, limit: int) -> bytes:
    """Return the first bytes of a file, unpacked if it is packed."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP
            file.seek(0)
            if not packed:
                return file.read(limit)
            with gzip.open(file) as unpacked:
                return unpacked.read(limit)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise damaged(path, f"is damaged ({error})") from None
    except OSError as error:
        raise damaged(path, f"cannot be read ({error.strerror})") from None
