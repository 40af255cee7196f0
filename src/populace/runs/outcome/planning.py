"""Sample size: how many seeds detect a difference, planned from the spread of an earlier run."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from populace.statistics.intervals.levels import normal
from populace.statistics.rank_tests import MIN_RUNS_PER_SIDE
from populace.statistics.scores import deviations, sample


def required_seeds(
    samples: Sequence[ArrayLike], effect: float, *, power: float = 0.8, confidence: float = 0.95
) -> int:
    """Return how many seeds of each of two settings detect a difference in their scores.

    By Noether's formula for a rank test, `n = (z_alpha + z_power)^2 / (6 (p - 1/2)^2)` a side, with p the
    probability that a score of the better setting is the higher one. It is that of two scores with the spread
    of the samples, each about its own mean, of which one is higher by `effect`.

    `samples` are scores of settings, `(n,)` each, n >= 2. Raises ValueError for an `effect` that is not above
    0, for no sample of two or more, and for samples without any spread.
    Source: Noether 1987, "Sample Size Determination for Some Common Nonparametric Tests".
    """
    if not (math.isfinite(effect) and effect > 0):
        raise ValueError(f"effect must be above 0, got {effect}")
    scores = [found for each in samples if len(found := sample("samples", each)) > 1]
    if not scores:
        raise ValueError("a spread needs a setting with two or more scores")
    around = np.concatenate([deviations(s) for s in scores])
    if np.ptp(around) == 0:
        raise ValueError("all scores of each setting are equal, so their spread is not known")
    step = max(1, len(around) // 2000)  # thousands of scores say no more than two thousand
    ordered = np.sort(around)[::step]
    below = np.searchsorted(ordered, ordered + effect, side="left")
    upto = np.searchsorted(ordered, ordered + effect, side="right")
    p = float((below + upto).mean() / (2 * len(ordered)))
    z = normal(confidence) + normal(2 * power - 1)
    return max(MIN_RUNS_PER_SIDE, math.ceil(z**2 / (6 * max(p - 0.5, 1e-9) ** 2)))
