"""The median, with an interval from order statistics that no shape of distribution changes."""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from populace.statistics.intervals.interval import Interval, few
from populace.statistics.intervals.levels import check_confidence, scipy_special
from populace.statistics.scores import sample


def median_interval(scores: ArrayLike, *, confidence: float = 0.95) -> Interval:
    """Return the median with an interval between two order statistics, interpolated between neighbors.

    `[x_(d), x_(n+1-d)]` covers the median of any continuous distribution with probability
    `1 - 2 P(Binomial(n, 1/2) < d)`. Between the two d whose probabilities enclose `confidence`, the bounds
    are interpolated as by Hettmansperger and Sheather. Where the median is a value that many scores share it
    covers more, and with 5 runs, where d = 1 is all there is, 93.75 %.

    `scores` is `(runs,)`; of fewer than 5 the bounds are their range. Raises ValueError for scores that are
    empty, not finite or of another shape, and a `confidence` outside (0, 1).
    Source: Hettmansperger and Sheather 1986, "Confidence Intervals Based on Interpolated Order Statistics".
    """
    ordered = np.sort(sample("scores", scores))
    runs, found = len(ordered), float(np.median(ordered))
    rank, share = _rank(runs, confidence)
    if few(runs):
        return Interval(found, float(ordered[0]), float(ordered[-1]), runs)
    low = ordered[rank - 1] + share * (ordered[rank] - ordered[rank - 1])
    high = ordered[runs - rank] + share * (ordered[runs - rank - 1] - ordered[runs - rank])
    return Interval(found, float(low), float(high))


@lru_cache(maxsize=4096)
def _rank(runs: int, confidence: float) -> tuple[int, float]:
    """Return d, counted from 1, and the share of the way from x_(d) to x_(d+1)."""
    check_confidence(confidence)
    outside = (1 - confidence) / 2
    below = scipy_special().bdtr(np.arange(runs // 2 + 1), runs, 0.5)  # P(fewer than d), for d = 1, 2, ...
    rank = int(np.searchsorted(below, outside, side="right"))
    if rank == 0 or rank >= (runs + 1) // 2:
        return max(1, (runs + 1) // 2 if rank else 1), 0.0
    wide, narrow = 1 - 2 * below[rank - 1], 1 - 2 * below[rank]
    step = (wide - confidence) / (wide - narrow)
    return rank, float((runs - rank) * step / (rank + (runs - 2 * rank) * step))
