"""The mean, with Student's interval: exact for normal scores, short for skewed ones, corrected for folds."""

import math

import numpy as np
from numpy.typing import ArrayLike

from populace.statistics.intervals.interval import Interval, Intervals, few
from populace.statistics.intervals.levels import student
from populace.statistics.scores import refuse, sample


def mean_interval(scores: ArrayLike, *, confidence: float = 0.95, test_to_train: float = 0.0) -> Interval:
    """Return the mean with `mean +- t_{n-1} s sqrt(1 / n + test_to_train)`, s the deviation by n - 1.

    No interval from few scores covers the mean of a skewed distribution: one run in seven that fails moves
    the mean, and is absent from 8 runs one time in three (docs/statistics.md has the numbers). The
    interquartile mean and the median have no such limit.

    The scores of a cross-validation are not independent: any two folds share training examples. With
    `test_to_train`, the number of test examples over that of training examples, `1 / 9` for ten folds, the
    variance of their mean is corrected as by Nadeau and Bengio, whose approximation takes the correlation of
    two scores to be the share of examples that are tested. Repeated cross-validations are n scores as well.

    `scores` is `(runs,)`; of fewer than 5 the bounds are their range. Raises ValueError for scores that are
    empty, not finite or of another shape, a `confidence` outside (0, 1), and a negative `test_to_train`.
    Sources: Student 1908; Nadeau and Bengio 2003, "Inference for the Generalization Error".
    """
    values = sample("scores", scores)
    found = mean_intervals(values, confidence=confidence, test_to_train=test_to_train)
    return Interval(float(found.value), float(found.low), float(found.high), found.range_of)


def mean_intervals(scores: ArrayLike, *, confidence: float = 0.95, test_to_train: float = 0.0) -> Intervals:
    """Return the mean over runs of each of many quantities, with the bounds of `mean_interval`.

    `scores` is `(runs, ...)`, and results have the shape of what follows. Raises ValueError as
    `mean_interval`.
    """
    values = np.asarray(scores, np.float64)
    if values.ndim < 1 or not len(values):
        raise ValueError(f"scores must be (runs, ...), not empty, got {values.shape}")
    refuse("scores", "NaN or infinite", ~np.isfinite(values))
    if not 0 <= test_to_train < math.inf:
        raise ValueError(f"test_to_train must be a ratio of examples, 0 or more, got {test_to_train}")
    runs, found = len(values), values.mean(0)
    half = student(confidence, max(runs - 1, 1))
    if few(runs):
        return Intervals(found, values.min(0), values.max(0), runs)
    half = half * values.std(0, ddof=1) * math.sqrt(1 / runs + test_to_train)
    return Intervals(found, found - half, found + half)
