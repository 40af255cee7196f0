"""Scores: what is refused, the same for every statistic, and what a member that diverged counts as."""

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Mode = Literal["max", "min"]
"""Which scores are better: the higher or the lower ones."""


def table(name: str, scores: ArrayLike) -> Floats:
    """Return scores as `(runs, tasks)`; raises ValueError for empty ones, NaN, and more than 2 dimensions."""
    found = np.asarray(scores, dtype=np.float64)
    if found.size == 0 or found.ndim not in (1, 2):
        raise ValueError(f"{name} must be (runs,) or (runs, tasks), not empty, got {found.shape}")
    refuse(name, "NaN", np.isnan(found))
    return found.reshape(len(found), -1)


def sample(name: str, scores: ArrayLike) -> Floats:
    """Return finite scores as `(runs,)`; raises ValueError for anything else."""
    found = np.asarray(scores, dtype=np.float64)
    if found.size == 0 or found.ndim != 1:
        raise ValueError(f"{name} must be (runs,), not empty, got {found.shape}")
    refuse(name, "NaN", np.isnan(found))
    refuse(name, "infinite", np.isinf(found))
    return found


def deviations(values: Floats) -> Floats:
    """Return `(x - mean) sqrt(n / (n - 1))`, whose mean square is the unbiased variance of `(n,)` scores."""
    return (values - values.mean()) * (len(values) / (len(values) - 1)) ** 0.5


def refuse(name: str, what: str, found: NDArray[np.bool_]) -> None:
    """Raise ValueError if anything was found."""
    if found.any():
        raise ValueError(f"{name} must not be {what}, got {found.sum()} of {found.size}")


def worst_of(scores: ArrayLike, mode: Mode = "max") -> float:
    """Return the worst finite score, by which a member that diverged is scored; NaN if none is finite."""
    given = np.asarray(scores, dtype=np.float64)
    finite = given[np.isfinite(given)]
    if not finite.size:
        return math.nan
    return float(finite.min() if mode == "max" else finite.max())


def with_worst(scores: ArrayLike, mode: Mode = "max") -> Floats:
    """Return scores of any shape in which NaN and infinity, of members that diverged, are the worst score."""
    given = np.asarray(scores, dtype=np.float64)
    return np.where(np.isfinite(given), given, worst_of(given, mode))
