"""The mean, with Student's interval: exact for normal scores, and short of its name for skewed ones."""

import math

from numpy.typing import ArrayLike

from populace.statistics.interval import Interval, few
from populace.statistics.levels import student
from populace.statistics.scores import sample


def mean_interval(scores: ArrayLike, *, confidence: float = 0.95) -> Interval:
    """Return the mean with `mean +- t_{n-1} s / sqrt(n)`, where s is the standard deviation, of n - 1.

    No interval from few scores covers the mean of a skewed distribution: one run in seven that fails moves
    the mean, and is absent from 8 runs one time in three (docs/statistics.md has the numbers). The
    interquartile mean and the median have no such limit.

    `scores` is `(runs,)`; of fewer than 5 the bounds are their range. Raises ValueError for scores that are
    empty, not finite or of another shape, and a `confidence` outside (0, 1). Source: Student 1908.
    """
    values = sample("scores", scores)
    runs, found = len(values), float(values.mean())
    half = student(confidence, max(runs - 1, 1))
    if few(runs):
        return Interval(found, float(values.min()), float(values.max()), runs)
    half *= float(values.std(ddof=1)) / math.sqrt(runs)
    return Interval(found, found - half, found + half)
