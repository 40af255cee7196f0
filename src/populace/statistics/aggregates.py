"""The headline statistic: the mean of the middle half."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from populace.statistics.scores import refuse


def interquartile_mean(scores: ArrayLike, axis: int | None = None) -> Any:
    """Return the mean of the middle half, `mean(sorted(scores)[floor(n/4) : n - floor(n/4)])`.

    Robust to outliers like the median, and less noisy on few runs. `floor(n/4)` scores are cut from
    each end, so where 4 does not divide n a little more than half is kept (3 of 5, 5 of 7); fewer
    than 4 scores are not cut at all: it is then the plain mean.

    `scores` has any shape; `axis` is reduced, None takes all scores as one sample. Raises
    ValueError for no scores, and for NaN, which has no rank. Source: Agarwal et al. 2021.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.size == 0:
        raise ValueError(f"scores must hold at least one score, got shape {values.shape}")
    refuse("scores", "NaN", np.isnan(values))
    if axis is None:
        values, axis = values.ravel(), 0
    count = values.shape[axis]
    # scipy.stats.trim_mean gives the same (a test), but its import would delay the start of every run.
    middle = np.sort(values, axis=axis).take(range(count // 4, count - count // 4), axis=axis)
    return middle.mean(axis=axis)
