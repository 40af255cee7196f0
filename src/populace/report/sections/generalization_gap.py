"""What is lost where an agent was never trained, per setting, and whether its training over-fits.

A run tells where its learner was also evaluated in an environment that was held out: its evaluations then
have the metric `held_out_` and the name of the score beside the score itself.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from populace.report.charts.curves import grid
from populace.report.runs import Reading
from populace.statistics import Floats, Interval, bootstrap_interval

FEWEST_MEMBERS = 3
FEWEST_POINTS = 4


@dataclass(frozen=True)
class Trends:
    """How much the score changed over the last half of the evaluations, where trained and where held out."""

    training: Interval
    held_out: Interval

    @property
    def overfits(self) -> bool:
        """Whether both intervals exclude 0: better where trained, and worse where not."""
        return self.training.low > 0 and self.held_out.high < 0


def gap(training: ArrayLike, held_out: ArrayLike, *, lower: bool = False) -> Interval | None:
    """Return what a setting loses where it was not trained, positive for a loss.

        gap = interquartile mean over members i of s (training_i - held_out_i)

    with s = 1, or -1 where a lower score is the better one, and its 95 % bootstrap interval. Members are
    resampled as pairs, so what they have in common cancels.

    Args:
        training: score of each member in the environment it was trained in, (members,).
        held_out: score of the same members in the other one. A member without both (NaN) is left out.
        lower: whether a lower score is better.

    Returns:
        the gap; None where no member has both scores.

    """
    lost = (np.asarray(training, float) - np.asarray(held_out, float)) * (-1 if lower else 1)
    lost = lost[np.isfinite(lost)]
    return bootstrap_interval(lost) if len(lost) else None


def trends(
    units: ArrayLike, training: ArrayLike, held_out: ArrayLike, *, lower: bool = False
) -> Trends | None:
    """Return how both scores move late in training, positive for better.

    Over the last half of the n evaluations (those from n // 2 on) each member's score is fitted by a
    straight line with the slope of Theil and Sen: the median of the slopes between all pairs of points. A
    single evaluation in which an agent fails, as those of Q-learning do, hardly moves it. The slope times
    the length of that half is the member's change. The interquartile mean of the changes has a 95 %
    bootstrap interval over the members. Training over-fits where the interval of the trained score lies
    above 0 and that of the held-out score below. Source: Sen 1968, "Estimates of the Regression
    Coefficient Based on Kendall's Tau".

    Args:
        units: when the evaluations were made, (n,), rising.
        training: score of each member where it was trained, (members, n).
        held_out: the same where it was not. A member with a gap in this half (NaN) is left out.
        lower: whether a lower score is better.

    Returns:
        the trends; None where fewer than 3 members or 4 evaluations in this half leave nothing to tell.

    """
    x = np.asarray(units, float)
    late = slice(len(x) // 2, None)
    x = x[late]
    sign = -1 if lower else 1
    scores = [np.asarray(y, float)[:, late] * sign for y in (training, held_out)]
    whole = np.isfinite(scores[0]).all(axis=1) & np.isfinite(scores[1]).all(axis=1)
    if whole.sum() < FEWEST_MEMBERS or len(x) < FEWEST_POINTS:
        return None
    return Trends(*(bootstrap_interval(_changes(x, y[whole])) for y in scores))


def _changes(x: Floats, y: Floats) -> Floats:
    """Return the rise of the Theil-Sen line through each row of y from the first x to the last."""
    first, second = np.triu_indices(len(x), 1)
    slopes = (y[:, second] - y[:, first]) / (x[second] - x[first])
    return np.median(slopes, axis=1) * (x[-1] - x[0])


@dataclass(frozen=True)
class Measured:
    """What one setting reached where it was trained and where it was not, over its n members."""

    entry: dict[str, Any]
    n: int
    training: Interval
    held_out: Interval
    lost: Interval
    late: Trends | None


def measure(reading: Reading) -> list[Measured]:
    """Return what each setting lost, best setting first; empty where nothing was held out."""
    score = reading.results["score"]["name"]
    grids = [grid(reading.evaluation, name) for name in (score, f"held_out_{score}")]
    trained, other = (found and found.thinned() for found in grids)
    fresh = fresh_pairs(reading)
    found = []
    for entry in reading.ranked:
        late, pairs = None, np.array([fresh[m] for m in entry["members"] if m in fresh])
        if trained and other:
            rows = trained.rows(entry["members"]), other.rows(entry["members"])
            late = trends(trained.units, *rows, lower=reading.lower)
            if not fresh:
                pairs = np.stack([rows[0][:, -1], rows[1][:, -1]], axis=1)
        pairs = pairs[np.isfinite(pairs).all(axis=1)] if len(pairs) else pairs
        if len(pairs):
            lost = gap(pairs[:, 0], pairs[:, 1], lower=reading.lower)
            assert lost is not None
            both = bootstrap_interval(pairs[:, 0]), bootstrap_interval(pairs[:, 1])
            found.append(Measured(entry, len(pairs), *both, lost, late))
    return found


def fresh_pairs(reading: Reading) -> dict[int, tuple[float, float]]:
    """Return (trained, held out) of each member as measured afresh; members that were not are missing."""
    name, found = f"held_out_{reading.results['score']['name']}", {}
    for member in reading.members:
        fresh = member.get("test") or {}
        pair = fresh.get("score"), (fresh.get("metrics") or {}).get(name)
        if None not in pair:
            found[member["member"]] = pair
    return found
