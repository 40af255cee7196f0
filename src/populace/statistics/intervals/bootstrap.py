"""Bootstrap intervals of any statistic, whose levels were chosen by measured coverage."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from populace.statistics.aggregates import interquartile_mean
from populace.statistics.intervals.interval import Interval, few
from populace.statistics.intervals.levels import check_confidence, tail
from populace.statistics.scores import Floats, refuse, table

RESAMPLES = 5000
"""Of an interval: its bounds are the 50th to the 125th resample from either end, and as exact as that."""
PARTS = 256
"""Scores of one task up to which the interquartile mean is resampled score by score, and groups beyond."""
# Values held at a time (8 MiB), so that 5,000 resamples of 10,000 members do not fill the memory.
_BLOCK = 2**20
_CACHED = PARTS * RESAMPLES  # 10 MiB


def bootstrap_interval(
    scores: ArrayLike,
    statistic: Callable[..., Any] = interquartile_mean,
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return a statistic of all scores with its stratified bootstrap interval.

    A resample draws within each task (column), independently of the other tasks, as many runs as there are,
    with replacement. The interval lies between the quantiles `a` and `1 - a` of the statistic over the
    resamples, where `a` is below `(1 - confidence) / 2` by as much as few runs demand (`levels.tail`).

    Of one task with fewer than 5 runs nothing can be said with 95 % confidence: the bounds are then the
    lowest and the highest score, and `range_of` is their number. The interquartile mean of one task with more
    than 256 runs is resampled by groups of neighbors in rank (`weights_of_parts`), which takes no longer for
    100,000 runs than for 1,000.

    `scores` is `(runs,)` or `(runs, tasks)`. `statistic` is called as `statistic(batch, axis=-1)`
    on a batch `(b, runs * tasks)`, one resample per row, and must return `(b,)`, as `numpy.mean`
    does. Raises ValueError for scores that are empty, not finite or of more than 2 dimensions, a
    `confidence` outside (0, 1), `resamples` below 1, and a statistic that ignores `axis`.
    Sources: Efron and Tibshirani 1993, chapter 13; Hesterberg 2015; stratified as in Agarwal et al. 2021.
    """
    values = table("scores", scores)
    refuse("scores", "infinite", np.isinf(values))
    check_confidence(confidence)
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, got {resamples}")
    runs, tasks = values.shape
    found = float(_evaluate(statistic, values[None])[0])
    if tasks == 1 and few(runs):
        return Interval(found, float(values.min()), float(values.max()), runs)
    by_rank = statistic is interquartile_mean and tasks == 1
    if by_rank and runs > PARTS:
        edges, weights = weights_of_parts(runs, resamples, seed)
        replicates = weights @ (np.add.reduceat(np.sort(values[:, 0]), edges[:-1]) / np.diff(edges))
    elif by_rank and resamples * runs <= _CACHED:
        replicates = middle_weights(runs, resamples, seed) @ np.sort(values[:, 0])
    else:
        replicates = _replicates(statistic, values, resamples, seed)
    left_out = tail(confidence, runs, tasks)
    low, high = np.quantile(replicates, [left_out, 1 - left_out])
    return Interval(found, float(low), float(high))


@lru_cache(maxsize=4)
def middle_weights(runs: int, resamples: int, seed: int) -> Floats:
    """Return the weights of sorted scores in the interquartile mean of each resample, (resamples, runs).

    Which scores a resample holds is known by their ranks alone, so that the interquartile means of all
    resamples are one product with the sorted scores, and every setting of a sweep shares the weights.
    """
    cut = runs // 4
    drawn = np.sort(np.random.default_rng(seed).integers(runs, size=(resamples, runs, 1)), axis=1)
    kept = drawn[:, cut : runs - cut, 0]
    place = np.arange(resamples)[:, None] * runs + kept
    counts = np.bincount(place.ravel(), minlength=resamples * runs).reshape(resamples, runs)
    return counts / kept.shape[1]


@lru_cache(maxsize=2)
def weights_of_parts(runs: int, resamples: int, seed: int) -> tuple[NDArray[np.int64], Floats]:
    """Return `middle_weights` of very many runs for the means of 256 parts of the sorted scores.

    How many runs of each part a resample holds is multinomial, with the parts' sizes. A resample made of the
    means of parts lacks the spread within them, `1 / 128^2` of that of the middle half, and cuts a part where
    it would cut between runs: bounds move by less than their own error, which is that of 5,000 resamples.

    Returns:
        edges: part i is the sorted scores `edges[i]` to `edges[i + 1]`, (257,).
        weights: of each part in each resample, (resamples, 256).

    """
    edges = np.arange(PARTS + 1) * runs // PARTS
    cut = runs // 4
    upto = np.random.default_rng(seed).multinomial(runs, np.diff(edges) / runs, size=resamples)
    np.clip(np.cumsum(upto, axis=1, out=upto), cut, runs - cut, out=upto)
    return edges, np.diff(upto, axis=1, prepend=cut) / (runs - 2 * cut)


def _replicates(statistic: Callable[..., Any], values: Floats, resamples: int, seed: int) -> Floats:
    generator = np.random.default_rng(seed)
    block = max(1, _BLOCK // values.size)
    found = []
    for start in range(0, resamples, block):
        count = min(block, resamples - start)
        drawn = generator.integers(len(values), size=(count, *values.shape))
        found.append(_evaluate(statistic, np.take_along_axis(values[None], drawn, axis=1)))
    return np.concatenate(found)


def _evaluate(statistic: Callable[..., Any], batch: Floats) -> Floats:
    values = np.asarray(statistic(batch.reshape(len(batch), -1), axis=-1), dtype=np.float64)
    if values.shape != (len(batch),):
        raise ValueError(f"statistic must return shape {(len(batch),)}, got {values.shape}")
    return values
