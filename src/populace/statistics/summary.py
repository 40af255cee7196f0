"""What a population of scores says: its aggregates with their intervals."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from populace.statistics.intervals.bootstrap import bootstrap_interval
from populace.statistics.intervals.interval import Interval, numbers
from populace.statistics.intervals.mean import mean_interval
from populace.statistics.intervals.median import median_interval
from populace.statistics.scores import Mode, worst_of


@dataclass(frozen=True)
class Summary:
    """The scores of n members, one per member, and their aggregates with 95 % intervals."""

    n: int
    diverged: int
    scores: tuple[float, ...]
    iqm: Interval
    median: Interval
    mean: Interval

    def as_dict(self) -> dict[str, Any]:
        """Return the summary as it stands in `results.json`, with None for NaN."""
        aggregates = {"iqm": self.iqm, "median": self.median, "mean": self.mean}
        counts = {"n": self.n, "diverged": self.diverged, "scores": numbers(*self.scores)}
        return counts | {name: interval.as_list() for name, interval in aggregates.items()}


def summarize(
    scores: ArrayLike,
    diverged: ArrayLike | None = None,
    *,
    worst: float | None = None,
    mode: Mode = "max",
    seed: int = 0,
    test_to_train: float = 0.0,
) -> Summary:
    """Summarize one score per member; one that diverged is never dropped, but scored as `worst`.

    A member diverged where the boolean mask `diverged` says so or its score is not finite. `worst`
    defaults to the worst finite score given, also if a diverged member has it: the lowest, or with
    `mode="min"` the highest. If no score is finite and no `worst` is given, there is nothing to
    score by: scores and intervals are NaN, which is None in `as_dict`.

    `scores` and `diverged` are `(members,)`; the intervals are those of `bootstrap_interval` (the
    interquartile mean, by `seed`), `median_interval` and `mean_interval`, the last one corrected by
    `test_to_train` where the scores are of folds.
    Raises ValueError for no scores, other shapes, a mask that is not boolean, a `worst` that is not
    finite, and an unknown `mode`.
    """
    given = np.asarray(scores, dtype=np.float64)
    if given.ndim != 1 or given.size == 0:
        raise ValueError(f"scores must have shape (members,), at least one, got {given.shape}")
    mask = np.zeros(given.shape, dtype=bool) if diverged is None else np.asarray(diverged)
    if mask.dtype != np.bool_ or mask.shape != given.shape:
        raise ValueError(f"diverged must be {given.shape} bool, got {mask.shape} {mask.dtype}")
    if mode not in ("max", "min"):
        raise ValueError(f"mode must be 'max' or 'min', got {mode!r}")
    if worst is None:
        worst = worst_of(given, mode)
    elif not math.isfinite(worst):
        raise ValueError(f"worst must be finite, or None to take it from the scores, got {worst}")
    bad = mask | ~np.isfinite(given)
    scored = np.where(bad, worst, given)
    aggregates = [Interval(math.nan, math.nan, math.nan)] * 3
    if not math.isnan(worst):
        aggregates = [
            bootstrap_interval(scored, seed=seed), median_interval(scored),
            mean_interval(scored, test_to_train=test_to_train),
        ]  # fmt: skip
    return Summary(given.size, int(bad.sum()), tuple(scored.tolist()), *aggregates)
