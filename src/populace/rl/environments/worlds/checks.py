"""Checks of the worlds' arguments."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from populace.core.errors import UsageError, unknown
from populace.core.untrusted.shown import shown


def choice(world: str, name: str, value: Any, known: Sequence[str]) -> str:
    """Return a string that must be one of `known`."""
    if value not in known:
        raise unknown(name, str(value), known, where=f" of {world}")
    return value


def whole(world: str, name: str, value: Any, low: int) -> int:
    """Return a whole number that must not be below `low`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < low:
        raise UsageError(f"{world}: {name} must be a whole number of at least {low}, got {shown(value)}")
    return int(value)


def flag(world: str, name: str, value: Any) -> bool:
    """Return a truth value; a text such as `'no'`, which Python takes for true, is none."""
    if not isinstance(value, bool | np.bool):
        raise UsageError(f"{world}: {name} must be True or False, got {shown(value)}")
    return bool(value)


def real(world: str, name: str, value: Any, *, low: float = -math.inf, high: float = math.inf) -> float:
    """Return a finite number that must lie in `[low, high]`."""
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool) and np.isfinite(value)
    if not number or not low <= value <= high:
        above = f" of at least {low:g}" if low > -math.inf else ""
        inside = f" from {low:g} to {high:g}" if high < math.inf else above
        raise UsageError(f"{world}: {name} must be a finite number{inside}, got {shown(value)}")
    return float(value)


def interval(world: str, name: str, value: Any, *, above: float, high: float) -> tuple[float, float]:
    """Return a range `(low, high)` that must lie in `(above, high]`; both ends may be equal."""
    try:
        low, top = (float(bound) for bound in value)
    except (TypeError, ValueError):
        low, top = 1.0, 0.0
    if not above < low <= top <= high:
        raise UsageError(
            f"{world}: {name} must be a pair (low, high) with {above:g} < low <= high <= {high:g}, "
            f"got {shown(value)}"
        )
    return low, top


def cell(world: str, name: str, value: Any, width: int, height: int) -> tuple[int, int]:
    """Return a cell `(column, row)` that must lie on a grid."""
    try:
        column, row = value
    except (TypeError, ValueError):
        column = row = None
    inside = all(
        isinstance(at, int | np.integer) and not isinstance(at, bool) and 0 <= at < size
        for at, size in ((column, width), (row, height))
    )
    if not inside:
        raise UsageError(
            f"{world}: {name} must be (column, row) on a grid of {width} x {height} cells, counted from 0, "
            f"got {shown(value)}"
        )
    return int(value[0]), int(value[1])
