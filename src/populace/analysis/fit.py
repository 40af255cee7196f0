"""Least-squares fits of straight lines and power laws, with the confidence interval of the slope."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from populace.statistics import Interval


def slope(x: ArrayLike, y: ArrayLike) -> Interval:
    """Return the least-squares slope of y over x with its 95 % interval.

        slope = Sxy / Sxx,   half width = t(0.975, n - 2) * sqrt(SSE / (n - 2) / Sxx)

    The interval assumes independent normal errors of equal variance around a straight line. If the points
    follow a curve instead, it is wider. For two points, which always lie on a line, it is unbounded.

    Raises:
        ValueError: arrays of different lengths, or fewer than two different x.

    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.shape != y.shape or x.ndim != 1 or np.unique(x).size < 2:
        raise ValueError(f"slope needs at least two points, got shapes {x.shape} and {y.shape}")
    if not np.isfinite(y).all():
        return Interval(math.nan, math.nan, math.nan)
    dx, dy = x - x.mean(), y - y.mean()
    sxx = float(dx @ dx)
    value = float(dx @ dy) / sxx
    freedom = x.size - 2
    if freedom == 0:
        return Interval(value, -math.inf, math.inf)
    from scipy.special import stdtrit  # scipy.stats has it too, and takes a second to import

    left: Any = dy - value * dx
    half = float(stdtrit(freedom, 0.975)) * math.sqrt(float(left @ left) / freedom / sxx)
    return Interval(value, value - half, value + half)


def exponent(sizes: ArrayLike, values: ArrayLike) -> Interval:
    """Return p of `values = c * sizes^p` with its 95 % interval; NaN unless all values are positive."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return slope(np.log(np.asarray(sizes, np.float64)), np.log(np.asarray(values, np.float64)))
