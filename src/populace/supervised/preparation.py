"""Preparation: examples opened, checked against one another, and their statistics."""

from collections.abc import Callable
from typing import Any

import numpy as np

from populace.core.errors import UsageError
from populace.core.values import plain
from populace.data import arrays
from populace.data.arrays import check_features
from populace.data.example_files import DEFAULT_MEMORY, open_array


def opened(x: Any, memory: int | None) -> tuple[Any, int]:
    """Return examples, and how much memory those in files may take; 0 where they are in memory already.

    Raises:
        UsageError: no examples, a file that is missing or damaged, or a limit that cannot be.

    """
    x = open_array("x", x, mapped=True)
    if not isinstance(x, np.memmap):
        if memory is not None:
            raise UsageError(
                "memory limits what is read from files, and x is an array in memory; "
                "save it with numpy.save and give the path"
            )
        return check_features("x", x), 0
    memory = DEFAULT_MEMORY if memory is None else plain(memory)
    if isinstance(memory, bool) or not isinstance(memory, int) or memory < 1:
        raise UsageError(f"memory must be a whole number of bytes, at least 1, got {memory!r}")
    check_features("x", x)
    return x, memory


def pair(name: str, given: Any, x: np.ndarray, check: Callable[..., np.ndarray]) -> tuple[Any, np.ndarray]:
    """Return more examples beside x, and what is to be predicted of them; in files if those of x are.

    Args:
        name: of the pair, for errors.
        given: the pair.
        x: examples that these must have the shape of.
        check: (name, y, number of examples) -> y, checked.

    """
    if not (isinstance(given, tuple | list) and len(given) == 2):
        raise UsageError(f"{name} must be a pair (x, y), got {type(given).__name__}")
    streamed = isinstance(x, np.memmap)
    raw = open_array(f"{name} x", given[0], mapped=streamed)
    other = check_features(f"{name} x", raw)
    if other.shape[1:] != x.shape[1:]:
        raise UsageError(f"{name} x has examples of shape {other.shape[1:]}; those of x have {x.shape[1:]}")
    if streamed and other.dtype != x.dtype:
        raise UsageError(f"{name} x is {other.dtype}, x is {x.dtype}; save both with one type")
    if x.dtype == np.uint8 and other.dtype != np.uint8:
        if ((other < 0) | (other > 255) | (other != np.floor(other))).any():
            raise UsageError(f"{name} x is {other.dtype}, x is uint8; give both in the same units")
        other = other.astype(np.uint8)
    y = check(f"{name} y", open_array(f"{name} y", given[1]), len(other))
    return raw if streamed and isinstance(raw, np.memmap) else other, y


def standard(
    name: str, x: np.ndarray, test: np.ndarray | None, rows: np.ndarray, how: str
) -> tuple[Any, ...]:
    """Return values and test values as they are kept, then origin, mean and deviation."""
    origin, mean, deviation = statistics(name, x, rows, how)
    x, test = arrays.kept(x, origin), None if test is None else arrays.kept(test, origin)
    return x, test, origin, mean, deviation


def statistics(name: str, x: np.ndarray, rows: np.ndarray, how: str) -> tuple[np.ndarray, ...]:
    """Return origin, mean and deviation; a few rows are in memory at a time."""
    origin, mean, deviation = arrays.origin_and_moments(x, rows, how)
    arrays.warn_of_loss(name, x, origin, how)
    return origin, mean, deviation
