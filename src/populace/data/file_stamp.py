"""File stamp: what tells whether a memory-mapped file is still the one that was opened."""

import mmap
import os
from typing import Any

import numpy as np

from populace.core.errors import RunError

Stamp = tuple[str, int, int] | None
"""Name, size and time of change of a file; None for an array in memory."""


def stamp(array: np.ndarray) -> Stamp:
    """Return the stamp of the file that a memory-mapped array is of."""
    name = getattr(array, "filename", None)
    if name is None:
        return None
    try:
        found = os.stat(name)
    except OSError:
        return str(name), -1, -1
    return str(name), found.st_size, found.st_mtime_ns


def identity(array: np.ndarray, stamped: Stamp) -> Any:
    """Return what is equal only for arrays of equal content."""
    whole = stamped is not None and isinstance(array.base, mmap.mmap)
    place = array.offset if whole else array.__array_interface__["data"][0]  # pyright: ignore[reportAttributeAccessIssue]
    return stamped, place, array.shape, array.strides, array.dtype.str


def check_unchanged(array: np.ndarray, stamped: Stamp) -> None:
    """Raise a `RunError` if the file of an array is not the one that was opened."""
    if stamped is not None and stamp(array) != stamped:
        raise RunError(
            f"'{stamped[0]}' was changed or removed while it was in use; "
            "restore it, or start again with the new file"
        )
