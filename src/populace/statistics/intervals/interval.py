"""What every statistic returns: a value, and how far it may be off."""

import math
from dataclasses import dataclass

from populace.statistics.intervals.levels import FEWEST
from populace.statistics.scores import Floats


@dataclass(frozen=True)
class Interval:
    """A statistic and the bounds around it: a confidence interval, or the range of very few scores.

    Attributes:
        value: the statistic.
        low: lower bound.
        high: upper bound.
        range_of: 0 for a confidence interval. Otherwise there are too few scores for one, and the bounds are
            the lowest and the highest of this many scores.

    """

    value: float
    low: float
    high: float
    range_of: int = 0

    def as_list(self) -> list[float | None]:
        """Return `[value, low, high]` for JSON, with None for NaN; the reader knows a range by its count."""
        return numbers(self.value, self.low, self.high)


@dataclass(frozen=True, eq=False)
class Intervals:
    """Many statistics of the same runs, such as the mean prediction for each example; all of one shape.

    Attributes:
        value: the statistics.
        low: lower bounds.
        high: upper bounds.
        range_of: as of [`Interval`][populace.statistics.intervals.interval.Interval].

    """

    value: Floats
    low: Floats
    high: Floats
    range_of: int = 0


def few(count: int) -> int:
    """Return the `range_of` of an interval from this many scores of one task: 0 if they are enough."""
    return count if count < FEWEST else 0


def numbers(*values: float) -> list[float | None]:
    """Return numbers for JSON, with None for NaN."""
    return [None if math.isnan(value) else value for value in values]
