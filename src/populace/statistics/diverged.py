"""The score of a member that diverged: the worst that any other has."""

import math

import numpy as np
from numpy.typing import ArrayLike

from populace.statistics.scores import Floats, Mode


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
