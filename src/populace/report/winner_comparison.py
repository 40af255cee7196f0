"""The selected setting compared with the others: significant differences, and the bias of the selection."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from populace.statistics import (
    MIN_RUNS_PER_SIDE,
    Comparison,
    WinnerBias,
    best_subset,
    intraclass_correlation,
    multiple_comparisons,
    probability_best,
    winner_bias,
    worth_pairing,
)


@dataclass(frozen=True)
class WinnerComparison:
    """The winner of a sweep against the other settings; what it says is computed when it is first asked.

    Attributes:
        winner: number of the selected setting.
        scores: setting to the scores by which settings are compared, one per member.
        chosen_by: setting to the scores by which the winner was selected, of the same members; empty if
            there are none.
        lower: whether a lower score is better.

    """

    winner: int
    scores: Mapping[int, Sequence[float]]
    chosen_by: Mapping[int, Sequence[float]] = field(default_factory=dict)
    lower: bool = False

    @property
    def _mode(self) -> Literal["max", "min"]:
        return "min" if self.lower else "max"

    @cached_property
    def intraclass_correlation(self) -> float | None:
        """Share of the variance within settings that the seed explains; None if they do not share seeds."""
        table = list(self.scores.values())
        if len(table) < 2 or len({len(row) for row in table}) > 1 or len(table[0]) < MIN_RUNS_PER_SIDE:
            return None
        return intraclass_correlation(table)

    @cached_property
    def paired(self) -> bool:
        """Whether settings are compared seed by seed."""
        return self.intraclass_correlation is not None and worth_pairing(list(self.scores.values()))

    @cached_property
    def comparisons(self) -> dict[int, Comparison]:
        """The comparison with each other setting; the improvement is that of the winner."""
        sign = -1.0 if self.lower else 1.0
        others = [entry for entry in self.scores if entry != self.winner]
        found = multiple_comparisons(
            [sign * s for s in self.scores[self.winner]],
            [[sign * s for s in self.scores[entry]] for entry in others],
            chosen=True,
            paired=self.paired,
        )
        return dict(zip(others, found))

    @cached_property
    def testable(self) -> bool:
        """Whether there are enough seeds for any difference to be significant."""
        return any(comparison.testable for comparison in self.comparisons.values())

    @cached_property
    def probability_best(self) -> dict[int, float]:
        """Probability of each setting to be the best; NaN with too few seeds."""
        found = probability_best(list(self.scores.values()), mode=self._mode, paired=self.paired)
        return dict(zip(self.scores, found))

    @cached_property
    def best_subset(self) -> set[int]:
        """The settings among which the best one is, with 95 % confidence."""
        found = best_subset(list(self.scores.values()), mode=self._mode)
        return {entry for entry, may in zip(self.scores, found) if may}

    @cached_property
    def winner_bias(self) -> WinnerBias | None:
        """How much better the winner's score may be than the winner; None if that cannot be known."""
        both = [
            entry for entry in self.scores if len(self.chosen_by.get(entry, ())) == len(self.scores[entry])
        ]
        if len(both) < 2 or self.winner not in both:
            return None
        return winner_bias(
            [self.chosen_by[entry] for entry in both],
            [self.scores[entry] for entry in both],
            mode=self._mode,
            paired=self.paired,
        )
