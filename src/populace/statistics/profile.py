"""The fraction of runs above each threshold."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from populace.statistics.intervals.levels import normal
from populace.statistics.scores import Floats, refuse, table


def performance_profile(
    scores: ArrayLike, thresholds: ArrayLike, *, confidence: float = 0.95
) -> tuple[Floats, Floats, Floats]:
    """Return the fraction of runs above each threshold, `mean_tasks mean_runs [score > threshold]`.

    `scores` is `(runs,)` or `(runs, tasks)`, infinite ones are welcome; `thresholds` is `(k,)`.
    Returns `(fraction, low, high)`, each `(k,)`. The band is pointwise: each threshold is covered with the
    given confidence, not the whole curve at once. It is Wilson's interval of a proportion; of several
    tasks, whose
    fractions are independent, the bounds are combined as by Newcombe:
    `low = p - sqrt(sum_tasks (p_t - low_t)^2) / tasks`.

    Raises ValueError for scores or thresholds that are empty, NaN or of another shape, and a `confidence`
    outside (0, 1). Sources: Agarwal et al. 2021; Wilson 1927; Newcombe 1998.
    """
    values = table("scores", scores)
    levels = np.asarray(thresholds, dtype=np.float64)
    if levels.ndim != 1 or levels.size == 0:
        raise ValueError(f"thresholds must have shape (k,), at least one, got {levels.shape}")
    refuse("thresholds", "NaN", np.isnan(levels))
    ordered = np.sort(values, axis=0)
    above = [1 - np.searchsorted(task, levels, side="right") / len(task) for task in ordered.T]
    return combined(np.stack(above), lambda share: wilson(share, len(values), confidence))


def wilson(share: Floats, count: int, confidence: float) -> tuple[Floats, Floats]:
    """Return Wilson's interval of proportions that were found in `count` trials each."""
    z = normal(confidence)
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * np.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    return np.maximum(middle - half, 0.0), np.minimum(middle + half, 1.0)


def combined(
    shares: Floats, bounds: Callable[[Floats], tuple[Floats, Floats]]
) -> tuple[Floats, Floats, Floats]:
    """Return the mean of independent shares `(tasks, ...)`, each with bounds of its own, and its bounds."""
    low, high = bounds(shares)
    mean, tasks = shares.mean(axis=0), len(shares)
    below = np.sqrt(((shares - low) ** 2).sum(axis=0)) / tasks
    above = np.sqrt(((high - shares) ** 2).sum(axis=0)) / tasks
    return mean, np.maximum(mean - below, 0.0), np.minimum(mean + above, 1.0)
