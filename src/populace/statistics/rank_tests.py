"""Exact and permutation tests of two samples, which hold their level with as few runs as there are."""

import math
from functools import lru_cache
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from populace.statistics.intervals.levels import scipy_special
from populace.statistics.scores import Floats, sample

MIN_RUNS_PER_SIDE = 4
"""Runs a side below which no test can reach 5 %: 3 against 3 can be split in 20 ways, and the smallest
two-sided p-value is 2 / 20."""
_ALL_SPLITS = 20_000
_SOME_SPLITS = 9_999
_MANY = 200


def brunner_munzel(
    x: ArrayLike, y: ArrayLike, *, alternative: Literal["two-sided", "greater"] = "two-sided", seed: int = 0
) -> float:
    """Return the p-value of `P(X > Y) + P(X = Y) / 2 = 1 / 2` by a studentized permutation test.

    The statistic is that of Brunner and Munzel, with n runs of X, m of Y, and `u_i` the number of runs of the
    other side that run i beats, ties counted half:

        T = (mean_x(u) / m - 1/2) / sqrt(var_x(u) / (n m^2) + var_y(u) / (m n^2))

    Its distribution is that over all `(n + m)! / (n! m!)` ways to split the scores, or 9,999 drawn by `seed`
    where these are over 20,000; of more than 200 scores it is the normal one. So the test is exact for equal
    distributions, and unlike Mann-Whitney's nearly so for distributions of unequal spread.

    `x` is `(n,)`, `y` is `(m,)`, with at least 2 runs each. Raises ValueError for fewer, for scores that
    are not finite or of another shape. Sources: Brunner and Munzel 2000; Neubert and Brunner 2007.
    """
    first, second = sample("x", x), sample("y", y)
    n, m = len(first), len(second)
    if min(n, m) < 2:
        raise ValueError(f"x and y must have at least 2 runs each, got {n} and {m}")
    two = alternative == "two-sided"
    if n + m > _MANY:  # no comparison of all with all: it would take memory for (n + m)^2 of them
        over = beaten(first, second), beaten(second, first)
        scale = np.sqrt(over[0].var(ddof=1) / (n * m**2) + over[1].var(ddof=1) / (m * n**2))
        observed = float(_standardized(over[0].mean(keepdims=True) / m - 0.5, scale[None])[0])
        return float(scipy_special().ndtr(-abs(observed)) * 2 if two else scipy_special().ndtr(-observed))
    pooled = np.concatenate([first, second])
    order = np.argsort(pooled, kind="stable")
    pooled, own = pooled[order], (order < n).astype(np.float64)
    beats = (pooled[:, None] < pooled) + (pooled[:, None] == pooled) / 2
    observed = _studentized(own[None], beats)[0]
    splits = _splits(n, m, seed)
    found = _studentized(splits, beats)
    if two:
        observed, found = abs(observed), np.abs(found)
    # Equal up to rounding is equal: which split is the observed one must not depend on the last bit.
    reached = found >= observed - 1e-9 * abs(observed) if np.isfinite(observed) else found >= observed
    if len(splits) == math.comb(n + m, n):
        return float(reached.mean())
    return float((1 + reached.sum()) / (1 + len(splits)))


def beaten(x: Floats, y: Floats) -> Floats:
    """Return how many of `y`, `(m,)`, each of `x`, `(n,)`, is higher than; equal ones count half."""
    # By rank this costs O((n + m) log m), not the n m comparisons of the definition:
    # #(y < x) + #(y = x) / 2 is halfway between #(y < x) and #(y <= x).
    ordered = np.sort(y)
    below, upto = (np.searchsorted(ordered, x, side=side) for side in ("left", "right"))
    return (below + upto) / 2


def smallest_p(n: int, m: int) -> float:
    """Return a p-value below which `brunner_munzel` cannot come for n runs against m."""
    if n + m > _MANY:
        return 0.0
    splits = math.comb(n + m, n)
    return 1 / splits if splits <= _ALL_SPLITS else 1 / (1 + _SOME_SPLITS)


def signed_rank(differences: ArrayLike) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test of paired differences, exactly.

    Differences of zero are left out, equal ones share their rank. The distribution over all `2^n` signs is
    summed up rank by rank, so that ties do not make it an approximation; of more than 200 it is the normal
    one, with the variance `sum_i rank_i^2 / 4`.

    `differences` is `(n,)`. Raises ValueError as `brunner_munzel`. Source: Wilcoxon 1945.
    """
    given = sample("differences", differences)
    given = given[given != 0]
    if not len(given):
        return 1.0
    _, place, counts = np.unique(np.abs(given), return_inverse=True, return_counts=True)
    twice = (2 * np.cumsum(counts) - counts + 1)[place]  # twice the shared rank, a whole number
    if len(given) > _MANY:
        excess = twice[given > 0].sum() - twice.sum() / 2
        return float(2 * scipy_special().ndtr(-2 * abs(excess) / np.sqrt((twice.astype(float) ** 2).sum())))
    ways = np.zeros(twice.sum() + 1)
    ways[0] = 1.0
    for rank in twice:
        ways[rank:] = (ways[rank:] + ways[: len(ways) - rank]) / 2
        ways[:rank] /= 2
    positive = int(twice[given > 0].sum())
    tail = ways[: min(positive, len(ways) - 1 - positive) + 1].sum()
    return float(min(1.0, 2 * tail))


def holm(p: ArrayLike, comparisons: int | None = None) -> Floats:
    """Return p-values adjusted for many comparisons by Holm's method: the family errs as often as one did.

        adjusted_(i) = max_(j <= i) min(1, (comparisons - j) p_(j)),  j = 0, 1, ...

    `p` is `(k,)`; `comparisons` is their number, k, or more where these were chosen from more.
    Raises ValueError for fewer comparisons than p-values. Source: Holm 1979.
    """
    values = np.asarray(p, dtype=np.float64)
    many = len(values) if comparisons is None else comparisons
    if many < len(values):
        raise ValueError(f"comparisons must be at least the number of p-values {len(values)}, got {many}")
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(np.minimum(1.0, (many - np.arange(len(values))) * values[order]))
    adjusted = np.empty_like(values)
    adjusted[order] = stepped
    return adjusted


def _studentized(splits: Floats, beats: Floats) -> Floats:
    """Return T of each split: `splits` is (s, N), 1 for those in X; `beats` compares the scores, (N, N)."""
    n = splits[0].sum()
    m = splits.shape[1] - n
    within = splits @ beats  # how many of X each score beats, itself counted half
    over = np.where(splits > 0, beats.sum(axis=0) - within, within)  # of the other side
    x_mean, y_mean = (splits * over).sum(axis=1) / n, ((1 - splits) * over).sum(axis=1) / m
    x_var = (splits * (over - x_mean[:, None]) ** 2).sum(axis=1) / (n - 1)
    y_var = ((1 - splits) * (over - y_mean[:, None]) ** 2).sum(axis=1) / (m - 1)
    return _standardized(x_mean / m - 0.5, np.sqrt(x_var / (n * m**2) + y_var / (m * n**2)))


def _standardized(excess: Floats, scale: Floats) -> Floats:
    found = excess / np.maximum(scale, 1e-300)
    sure = scale < 1e-12  # all of one side beat all of the other, or all are equal
    found[sure] = np.where(np.abs(excess[sure]) < 1e-12, 0.0, np.copysign(np.inf, excess[sure]))
    return found


@lru_cache(maxsize=8)
def _splits(n: int, m: int, seed: int) -> Floats:
    if math.comb(n + m, n) <= _ALL_SPLITS:
        chosen = np.array(list(combinations(range(n + m), n)))
    else:
        drawn = np.random.default_rng(seed).random((_SOME_SPLITS, n + m))
        chosen = np.argpartition(drawn, n, axis=1)[:, :n]
    splits = np.zeros((len(chosen), n + m))
    np.put_along_axis(splits, chosen, 1.0, axis=1)
    return splits
