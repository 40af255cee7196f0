"""Choosing the best of many settings: which it may be, and how much of its score is luck."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from populace.statistics.aggregates import interquartile_mean
from populace.statistics.multiple_comparisons import SIGNIFICANCE_LEVEL
from populace.statistics.rank_tests import MIN_RUNS_PER_SIDE, brunner_munzel, smallest_p
from populace.statistics.scores import Floats, Mode, deviations, sample

_RESAMPLES = 4000
_FEW_RESAMPLES = 1000
_MANY_SETTINGS = 100
_SIMULATED = 2000
_CONTENDS = 0.001
_MANY_RUNS = 1000
_GROUPS = 250


def probability_best(
    scores: Sequence[ArrayLike], *, mode: Mode = "max", paired: bool = False, seed: int = 0
) -> list[float]:
    """Return how often each setting has the best interquartile mean, if the runs are drawn anew.

    Each resample draws runs with replacement within each setting, with `paired` the same seeds in all;
    settings that tie share it. The probabilities add up to 1. With fewer than 4 runs in any setting
    nothing is known of the spread, and each is NaN.

    `scores` has an entry `(n,)` per setting. Raises ValueError for scores that are not finite or of another
    shape. Source: Efron and Tibshirani 1993, chapter 6.
    """
    samples = _samples(scores, mode)
    if min(map(len, samples)) < MIN_RUNS_PER_SIDE:
        return [float("nan")] * len(samples)
    drawn = _resampled(samples, paired, seed)
    held = drawn >= drawn.max(axis=0)
    return (held / held.sum(axis=0)).mean(axis=1).tolist()


def best_subset(scores: Sequence[ArrayLike], *, mode: Mode = "max", seed: int = 0) -> list[bool]:
    """Return which settings are not worse than the best: with 95 % confidence, the best one is among them.

    A setting is left out if the one with the best interquartile mean beats it by a one-sided `brunner_munzel`
    test at the level `0.05 / (k - 1)`, which allows for any of the others being the best (Hsu's multiple
    comparisons with the best, by Bonferroni in the place of Dunnett's normal quantiles). With fewer than 4
    runs a side nothing is left out.

    `scores` has an entry `(n,)` per setting. Raises ValueError as `probability_best`. Source: Hsu 1981.
    """
    samples = _samples(scores, mode)
    leader = max(range(len(samples)), key=lambda i: interquartile_mean(samples[i]))
    level = SIGNIFICANCE_LEVEL / max(len(samples) - 1, 1)

    def worse(other: Floats) -> bool:
        best = samples[leader]
        if min(len(best), len(other)) < MIN_RUNS_PER_SIDE or smallest_p(len(best), len(other)) > level:
            return False
        return brunner_munzel(best, other, alternative="greater", seed=seed) <= level

    return [i == leader or not worse(other) for i, other in enumerate(samples)]


@dataclass(frozen=True)
class WinnerBias:
    """How much better the winner's score may be than the winner.

    Attributes:
        at_most: the bias if the contenders are equal and nothing but luck chose among them, in the units of
            the score; never negative.
        contenders: number of settings that luck may have chosen, the winner among them.

    """

    at_most: float
    contenders: int


def winner_bias(
    chosen_by: Sequence[ArrayLike],
    measured: Sequence[ArrayLike],
    *,
    mode: Mode = "max",
    paired: bool = False,
    seed: int = 0,
) -> WinnerBias | None:
    """Return how large the bias of the winner's interquartile mean may be, from the spread of the run itself.

    The winner's seeds were lucky, and new episodes of the same models keep that luck. Contenders are the
    settings that draw level with the best in one of 1,000 resamples or more. Simulated runs draw the seeds of
    every contender from the deviations of all of them, `(x - mean) sqrt(n / (n - 1))`, choose a winner by
    the one score, and take its error by the other. The mean error is the bias if the contenders are
    equal; if they differ it is smaller, down to zero.

    `chosen_by` and `measured` have an entry `(n,)` per setting, the two scores of each run; they are the same
    if the winner was chosen by the score that is reported. With `paired` what all settings share at a seed is
    taken out first. None with fewer than 4 runs in any setting. Raises ValueError for scores that are
    not finite or of different shapes.
    """
    first, second = _samples(chosen_by, mode), _samples(measured, mode)
    if [len(x) for x in first] != [len(x) for x in second]:
        raise ValueError("chosen_by and measured must have the same runs in each setting")
    if min(map(len, first)) < MIN_RUNS_PER_SIDE:
        return None
    drawn = _resampled(first, paired, seed)
    leader = drawn[max(range(len(first)), key=lambda i: interquartile_mean(first[i]))]
    kept = [i for i, values in enumerate(drawn) if (values >= leader).mean() >= _CONTENDS]
    if len(kept) == 1:
        return WinnerBias(0.0, 1)
    around = [_deviations([x[i] for i in kept], paired) for x in (first, second)]
    generator = np.random.default_rng(seed)
    best = np.full(_SIMULATED, -np.inf)
    error = np.zeros(_SIMULATED)
    for i in kept:
        value, off = _simulated(around, len(first[i]), generator)
        error = np.where(value > best, off, error)
        best = np.maximum(best, value)
    # Deviations are from means, whose interquartile mean is not zero where they are skewed.
    luck = float(error.mean()) - float(interquartile_mean(around[1]))
    return WinnerBias(max(0.0, luck), len(kept))


def undominated(values: ArrayLike) -> np.ndarray:
    """Return which rows no other row dominates (Pareto front), (n,) bool.

    Row a dominates b if `a_k >= b_k` for every k and `a_k > b_k` for one. Rows that are equal do not
    dominate one another; one with NaN is not compared, and is on no front.

    Args:
        values: (n, k), larger is better in every column.

    Source: Kung, Luccio, Preparata 1975, "On Finding the Maxima of a Set of Vectors", JACM 22.

    """
    rows = np.asarray(values, float)
    broken = np.any(np.isnan(rows), axis=1).tolist()
    found = np.zeros(len(rows), bool)
    # From the best in the first column on, the next ones break ties: a row is dominated only by earlier ones.
    order = [i for i in np.lexsort(-rows.T[::-1]).tolist() if not broken[i]]
    front: list[int] = []
    for i in order:
        above = rows[front]
        if not np.any(np.all(above >= rows[i], axis=1) & np.any(above > rows[i], axis=1)):
            front.append(i)
            found[i] = True
    return found


def _simulated(around: list[Floats], runs: int, generator: np.random.Generator) -> list[Floats]:
    """Return both interquartile means of runs drawn together from two scores, (2000,) each."""
    if runs <= _MANY_RUNS:
        drawn = generator.integers(len(around[0]), size=(_SIMULATED, runs))
        return [interquartile_mean(x[drawn], axis=1) for x in around]
    spread = np.cov([_influence(x) for x in around]) / runs
    means = [interquartile_mean(x) for x in around]
    return list(generator.multivariate_normal(means, spread, _SIMULATED, method="eigh").T)


def _deviations(samples: list[Floats], paired: bool) -> Floats:
    found = [deviations(x) for x in samples]
    if paired:
        found = list(np.stack(found) - np.mean(found, axis=0))
    return np.concatenate(found)


def _samples(scores: Sequence[ArrayLike], mode: Mode) -> list[Floats]:
    if len(scores) == 0:
        raise ValueError("scores must have an entry per setting, at least one, got none")
    sign = 1.0 if mode == "max" else -1.0
    return [sign * sample("scores", s) for s in scores]


def _resampled(samples: list[Floats], paired: bool, seed: int) -> Floats:
    """Return the interquartile mean of each resample of each setting, (settings, resamples).

    Of very many runs it is that of the influence of each run, which is a mean, over resampled groups of them.
    """
    if max(map(len, samples)) > _MANY_RUNS:
        counts = _group_counts(samples, paired, seed)
        return np.stack([_of_groups(x, drawn) for x, drawn in zip(samples, counts)])
    draws = zip(samples, _draws(samples, paired, seed))
    return np.stack([interquartile_mean(x[at], axis=1) for x, at in draws])


def _influence(values: Floats) -> Floats:
    """Return how much each run moves the interquartile mean, times their number: means of 0, (n,)."""
    cut, ordered = len(values) // 4, np.sort(values)
    clipped = np.clip(values, ordered[cut], ordered[-1 - cut])
    return (clipped - clipped.mean()) * (len(values) / (len(values) - 2 * cut))


def _of_groups(values: Floats, drawn: np.ndarray) -> Floats:
    places = np.arange(len(values)) % _GROUPS
    sums = np.bincount(places, _influence(values), minlength=_GROUPS)
    return interquartile_mean(values) + drawn @ sums / len(values)


def _group_counts(samples: list[Floats], paired: bool, seed: int) -> Iterator[np.ndarray]:
    """Yield for each setting how often a resample holds each group of its runs, (resamples, groups)."""
    generator = np.random.default_rng(seed)
    together = paired and len({len(x) for x in samples}) == 1
    equal = np.full(_GROUPS, 1 / _GROUPS)
    first = generator.multinomial(_GROUPS, equal, size=_FEW_RESAMPLES)
    for place in range(len(samples)):
        same = together or place == 0
        yield first if same else generator.multinomial(_GROUPS, equal, size=_FEW_RESAMPLES)


def _draws(samples: list[Floats], paired: bool, seed: int) -> Iterator[np.ndarray]:
    """Yield for each setting which of its runs a resample holds, (resamples, n)."""
    count = _RESAMPLES if len(samples) <= _MANY_SETTINGS else _FEW_RESAMPLES
    generator = np.random.default_rng(seed)
    together = paired and len({len(x) for x in samples}) == 1
    first = generator.integers(len(samples[0]), size=(count, len(samples[0])))
    for place, values in enumerate(samples):
        same = together or place == 0
        yield first if same else generator.integers(len(values), size=(count, len(values)))
