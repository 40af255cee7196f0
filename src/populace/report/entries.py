"""What `results.json` says of one setting or member: intervals, scores, and floors of diverged members."""

import math
from collections.abc import Sequence
from typing import Any

from populace.statistics import Interval, few

# Summaries in order of preference.
MEASUREMENTS = ("external", "test", "validation")


def interval_of(summary: dict[str, Any] | None) -> Interval | None:
    """Return a summary's interquartile mean, or mean over folds; None if there are no scores."""
    summary = summary or {}
    found: Sequence[float | None] | None = summary.get(summary.get("headline", "iqm"))
    if found is None or any(bound is None or math.isnan(bound) for bound in found):
        return None
    value, low, high = (float(bound) for bound in found if bound is not None)
    return Interval(value, low, high, few(int(summary["n"])))


def score_of(member: dict[str, Any], kind: str) -> float | None:
    """Return a member's score of one kind, or None if it was not measured."""
    score = (member.get(kind) or {}).get("score")
    return None if score is None or math.isnan(score) else float(score)


def floor_of(entry: dict[str, Any], metric: str) -> float | None:
    """Return what a diverged member of a setting counts as by one metric, or None if that is not known."""
    return (entry.get("floor") or {}).get(metric)
