"""The generalization gap of each setting, and whether its training overfits.

If a learner was also evaluated in a held-out environment, its evaluations contain the metric
`held_out_<score>` in addition to the score itself.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from populace.report.charts.curves import grid, with_floors
from populace.report.entries import floor_of
from populace.report.runs import Reading
from populace.statistics import FEWEST, Floats, Interval, bootstrap_interval

FEWEST_POINTS = 4


@dataclass(frozen=True)
class Trends:
    """Change of the score over the last half of the evaluations, in the training and held-out environment."""

    training: Interval
    held_out: Interval

    @property
    def overfits(self) -> bool:
        """Whether both intervals exclude 0: the score improves in training and deteriorates held out."""
        return self.training.low > 0 and self.held_out.high < 0


def gap(training: ArrayLike, held_out: ArrayLike, *, lower: bool = False) -> Interval | None:
    """Return the generalization gap of a setting; positive if held-out scores are worse.

        gap = interquartile mean over members i of s (training_i - held_out_i)

    with s = 1, or -1 if a lower score is better, and its 95 % bootstrap interval. Members are resampled as
    pairs, so that variation common to both scores cancels.

    Args:
        training: score of each member in its training environment, (members,).
        held_out: score of the same members in the held-out one. A member without both (NaN) is skipped.
        lower: whether a lower score is better.

    Returns:
        The gap; None if no member has both scores.

    """
    lost = (np.asarray(training, float) - np.asarray(held_out, float)) * (-1 if lower else 1)
    lost = lost[np.isfinite(lost)]
    return bootstrap_interval(lost) if len(lost) else None


def trends(
    units: ArrayLike, training: ArrayLike, held_out: ArrayLike, *, lower: bool = False
) -> Trends | None:
    """Return how both scores change late in training; positive is better.

    Over the last half of the n evaluations (those from n // 2 on), a straight line is fitted to each member's
    score by the Theil-Sen estimator, the median of the slopes between all pairs of points, which is robust
    against single evaluations in which an agent fails. The slope times the length of that half is the
    member's change, and the interquartile mean of the changes has a 95 % bootstrap interval over the members.
    Training overfits if the interval of the training score is above 0 and that of the held-out score below 0.

    Args:
        units: time of each evaluation, (n,), ascending.
        training: score of each member in the training environment, (members, n).
        held_out: the same in the held-out one. A member with missing values (NaN) in that half is skipped.
        lower: whether a lower score is better.

    Returns:
        The trends; None with fewer than 5 members or 4 evaluations in that half.

    Source: Sen 1968, "Estimates of the Regression Coefficient Based on Kendall's Tau".

    """
    x = np.asarray(units, float)
    late = slice(len(x) // 2, None)
    x = x[late]
    sign = -1 if lower else 1
    scores = [np.asarray(y, float)[:, late] * sign for y in (training, held_out)]
    whole = np.isfinite(scores[0]).all(axis=1) & np.isfinite(scores[1]).all(axis=1)
    if whole.sum() < FEWEST or len(x) < FEWEST_POINTS:
        return None
    return Trends(*(bootstrap_interval(_changes(x, y[whole])) for y in scores))


def _changes(x: Floats, y: Floats) -> Floats:
    """Return the change of the Theil-Sen line of each row of y from the first x to the last."""
    first, second = np.triu_indices(len(x), 1)
    slopes = (y[:, second] - y[:, first]) / (x[second] - x[first])
    return np.median(slopes, axis=1) * (x[-1] - x[0])


@dataclass(frozen=True)
class SettingGap:
    """Scores of one setting in the training and the held-out environment, over its n members."""

    entry: dict[str, Any]
    n: int
    training: Interval
    held_out: Interval
    lost: Interval
    late: Trends | None


def measure(reading: Reading) -> list[SettingGap]:
    """Return the generalization gap of each setting, best setting first; empty without held-out scores."""
    score = reading.results["score"]["name"]
    grids = [grid(reading.evaluation, name) for name in (score, f"held_out_{score}")]
    named = zip(grids, (score, f"held_out_{score}"))
    trained, other = (found and with_floors(found.thinned(), reading, name) for found, name in named)
    fresh = test_pairs(reading)
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
            found.append(SettingGap(entry, len(pairs), *both, lost, late))
    return found


def test_pairs(reading: Reading) -> dict[int, tuple[float, float]]:
    """Return the test scores (training, held out) of each member that has both; its floors if it diverged."""
    score = reading.results["score"]["name"]
    name, found, floors = f"held_out_{score}", {}, {}
    for entry in reading.settings:
        pair = floor_of(entry, score), floor_of(entry, name)
        floors |= dict.fromkeys(entry["members"], pair) if None not in pair else {}
    for member in reading.members:
        fresh = member.get("test") or {}
        pair = fresh.get("score"), (fresh.get("metrics") or {}).get(name)
        if None not in pair:
            found[member["member"]] = pair
    if found:  # members were tested
        ended = (m["member"] for m in reading.members if m.get("diverged_at") is not None)
        found |= {member: floors[member] for member in ended if member in floors}
    return found
