"""Scores on one held-out set: how much is owed to which examples happen to be in it."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from populace.statistics.aggregates import interquartile_mean
from populace.statistics.intervals.bootstrap import bootstrap_interval
from populace.statistics.intervals.interval import Interval
from populace.statistics.intervals.levels import check_confidence
from populace.statistics.scores import Floats, refuse

MIN_EXAMPLES = 30
"""Examples below which resampling them says too little of their population."""
_RESAMPLES = 2000
_BLOCK = 2**22
# Of more examples, groups of neighbors in a random order are resampled: their means have the same variance.
_GROUPS = 2000


@dataclass(frozen=True)
class HeldOut:
    """The interquartile mean over members of their scores on one held-out set, and what its intervals cover.

    Attributes:
        size: number of examples, n.
        examples: interval over examples: these trained members, judged on another n examples.
        both: interval over seeds and examples: other members, judged on other examples; None of fewer than 5
            members, whose spread no interval can be made of.

    """

    size: int
    examples: Interval
    both: Interval | None


def held_out_intervals(
    scores: ArrayLike, *, confidence: float = 0.95, resamples: int = _RESAMPLES, seed: int = 0
) -> HeldOut | None:
    """Return the intervals of members that are all judged on the same n examples; None of fewer than 30.

    An interval over seeds alone takes the set for the population. The examples are resampled within members,
    the same in all, and a member's score is the mean over its examples: the quantiles of the interquartile
    mean of these give `examples`. The seeds add, in squares, the distance to their own bounds
    (`bootstrap_interval`):

        low = value - sqrt((value - low_seeds)^2 + f (value - low_examples)^2)

    What an example does to one member alone is spread over the seeds already. It is taken out by the share of
    the variance between examples that all members have in common, from the mean squares of the table,
    `f = max(0, 1 - MS_rest / MS_examples)`.

    `scores` is `(members, n)`, the score of each member on each example, such as 1 if it is right. Raises
    ValueError for scores of another shape or not finite, a `confidence` outside (0, 1), and `resamples` below
    1. Sources: Efron and Tibshirani 1993, chapter 8 (resampling of what is independent); Owen 2007, "The
    pigeonhole bootstrap", for what resampling both at once would add; Zou and Donner 2008 for the sum.
    """
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or table.size == 0:
        raise ValueError(f"scores must be (members, examples), not empty, got {table.shape}")
    refuse("scores", "NaN or infinite", ~np.isfinite(table))
    check_confidence(confidence)
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, got {resamples}")
    size = table.shape[1]
    if size < MIN_EXAMPLES:
        return None
    members = table.mean(axis=1)
    value = float(interquartile_mean(members))
    replicates = _resampled(_grouped(table, seed), resamples, seed)
    outside = (1 - confidence) / 2
    low, high = (float(bound) for bound in np.quantile(replicates, [outside, 1 - outside]))
    examples = Interval(value, min(low, value), max(high, value))
    seeds = bootstrap_interval(members, confidence=confidence, seed=seed)
    if seeds.range_of:
        return HeldOut(size, examples, None)
    common = _common(table)
    below = math.hypot(value - seeds.low, math.sqrt(common) * (value - examples.low))
    above = math.hypot(seeds.high - value, math.sqrt(common) * (examples.high - value))
    return HeldOut(size, examples, Interval(value, value - below, value + above))


def _grouped(table: Floats, seed: int) -> Floats:
    if table.shape[1] <= _GROUPS:
        return table
    order = np.random.default_rng([seed, 1]).permutation(table.shape[1])
    each = -(-table.shape[1] // _GROUPS)
    starts = np.arange(0, table.shape[1], each)
    sums = np.add.reduceat(table[:, order], starts, axis=1)
    return sums / np.diff(starts, append=table.shape[1])


def _resampled(table: Floats, resamples: int, seed: int) -> Floats:
    """Return the interquartile mean over members in each resample of the examples, (resamples,)."""
    # Not the draws of `bootstrap_interval`: the examples of a set are independent of the seeds of a run.
    generator = np.random.default_rng([seed, 2])
    size = table.shape[1]
    block = max(1, _BLOCK // size)
    found = []
    for start in range(0, resamples, block):
        count = min(block, resamples - start)
        drawn = generator.integers(size, size=(count, size)) + size * np.arange(count)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=count * size).reshape(count, size) / size
        found.append(interquartile_mean(weights @ table.T, axis=1))
    return np.concatenate(found)


def _common(table: Floats) -> float:
    """Return the share of the variance between the examples' means that is no member's own."""
    members, size = table.shape
    example = table.mean(axis=0)
    between = members * example.var(ddof=1)
    rest = table - example - table.mean(axis=1, keepdims=True) + table.mean()
    own = (rest**2).sum() / ((members - 1) * (size - 1))
    return float(max(0.0, 1 - own / between)) if between > 0 else 0.0
