"""Comparisons of one sample with many, with the family-wise error rate controlled."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from populace.statistics.improvement import probability_of_improvement
from populace.statistics.intervals.interval import Interval
from populace.statistics.rank_tests import (
    MIN_RUNS_PER_SIDE,
    beaten,
    brunner_munzel,
    holm,
    signed_rank,
    smallest_p,
)
from populace.statistics.scores import Floats, sample

SIGNIFICANCE_LEVEL = 0.05
MIN_PAIRS = 6
"""Pairs below which a signed-rank test cannot reach 5 %: 5 pairs have 32 signs, and `2 / 32` is above it."""
_WORTH_PAIRING = 0.25


@dataclass(frozen=True)
class Comparison:
    """One comparison of a reference with another sample.

    Attributes:
        probability_of_improvement: probability that a run of the reference has the higher score, with its
            interval.
        p_value: two-sided p-value, adjusted for all comparisons of the family; NaN if no scores of so few
            runs could be significant.
        paired: whether runs of the same seed were compared.

    """

    probability_of_improvement: Interval
    p_value: float
    paired: bool

    @property
    def significant(self) -> bool:
        """Whether the two differ significantly; so does any pair in at most 5 of 100 equal families."""
        return self.p_value <= SIGNIFICANCE_LEVEL

    @property
    def testable(self) -> bool:
        """Whether there are enough runs for any difference to be significant."""
        return not np.isnan(self.p_value)


def multiple_comparisons(
    reference: ArrayLike,
    others: Sequence[ArrayLike],
    *,
    chosen: bool = False,
    paired: bool = False,
    seed: int = 0,
) -> list[Comparison]:
    """Compare one sample with each of k others, adjusted by Holm's method.

    The test is `brunner_munzel`; with `paired`, and at least 6 runs that could be significant, it is
    `signed_rank` of the differences of runs at the same place. With fewer than 4 runs a side, or too
    few for so many comparisons, the p-value is NaN.

    A reference that was chosen for its scores, such as the best of a sweep, is a comparison of all pairs: the
    extremes of many equal settings differ. With `chosen` the family is therefore `k (k + 1) / 2`.

    `reference` and `others` are `(n,)` each, their lengths may differ. Raises ValueError for scores that are
    not finite or of another shape. Source: Holm 1979.
    """
    own = sample("reference", reference)
    against = [sample("others", other) for other in others]
    family = len(against) * (len(against) + 1) // 2 if chosen else len(against)
    by_seed = [paired and enough_pairs(len(own), family) and len(own) == len(y) for y in against]
    enough = [
        pairs
        or (
            min(len(own), len(y)) >= MIN_RUNS_PER_SIDE
            and smallest_p(len(own), len(y)) * family <= SIGNIFICANCE_LEVEL
        )
        for y, pairs in zip(against, by_seed)
    ]
    p = np.full(len(against), np.nan)
    for i, other in enumerate(against):
        if enough[i]:
            p[i] = _p(own, other, by_seed[i], seed)
    p[enough] = holm(p[enough], family)
    improvements = [probability_of_improvement(own, other) for other in against]
    return [Comparison(*found) for found in zip(improvements, p.tolist(), by_seed)]


def _p(own: Floats, other: Floats, paired: bool, seed: int) -> float:
    if paired:
        return signed_rank(own - other)
    return brunner_munzel(own, other, seed=seed)


def enough_pairs(runs: int, family: int) -> bool:
    """Return whether a signed-rank test of this many pairs can reach 5 % in a family of comparisons."""
    return runs >= MIN_PAIRS and 2.0 ** (1 - runs) * family <= SIGNIFICANCE_LEVEL


def intraclass_correlation(scores: ArrayLike) -> float:
    """Return the share of the variance within settings that the seed explains, from 0 to 1.

    The intraclass correlation of the ranks within each setting, over the seeds that the k settings share:

        (A - B) / (A + (k - 1) B)

    with A the mean square between seeds, B that of the rest. A difference between two settings that is taken
    seed by seed has this much less variance than one of independent runs, and an interval narrower by the
    factor `sqrt(1 - share)`.

    `scores` is `(settings, seeds)`; 0 with fewer than 2 settings or 3 seeds. Source: Shrout and Fleiss 1979.
    """
    table = np.asarray(scores, dtype=np.float64)
    settings, seeds = table.shape
    if settings < 2 or seeds < 3:
        return 0.0
    ranks = np.stack([beaten(row, row) for row in table])
    ranks -= ranks.mean(axis=1, keepdims=True)
    effect = ranks.mean(axis=0)
    between = settings * (effect**2).sum() / (seeds - 1)
    rest = ((ranks - effect) ** 2).sum() / ((settings - 1) * (seeds - 1))
    total = between + (settings - 1) * rest
    return float(max(0.0, (between - rest) / total)) if total > 0 else 0.0


def worth_pairing(scores: ArrayLike) -> bool:
    """Return whether settings that share their seeds are better compared seed by seed: a share of a quarter.

    Below it pairing costs more, in runs that a test of n pairs has fewer, than it gains.
    """
    return intraclass_correlation(scores) >= _WORTH_PAIRING
