"""What the interval around the selected setting's score covers, and what it leaves out."""

from typing import Any

from populace.report import number_format
from populace.report.runs import Reading
from populace.statistics import Interval


def sentence(reading: Reading) -> str:
    """Return what the interval covers: seeds, examples, or folds; empty without a test score on data."""
    winner = reading.winner or {}
    summary = winner.get("test") or {}
    if reading.headline != "test" or reading.results.get("evaluation_unit") or not summary:
        return ""
    if reading.folded:
        return (
            "Folds share training examples, so their scores are not independent. The interval is of their "
            "mean, with the variance corrected for that (Nadeau and Bengio)."
        )
    if reading.results.get("independent_test") is False:
        return ""
    found = summary.get("examples")
    if not found:
        return "The interval covers other seeds, but not other test data: all seeds are judged by the same."
    seeds = len(winner["members"])
    both, examples = (_interval(found[name]) for name in ("over_seeds_and_examples", "over_examples"))
    size = number_format.whole(found["size"])
    if both is not None:
        return (
            f"This interval covers other seeds on the same {size} test examples. For other seeds on other "
            f"examples of the same kind it is {number_format.bounds_of(both)}."
        )
    if examples is None or not number_format.has_width(examples):
        return ""
    these = "this model" if seeds == 1 else f"these {seeds} models"
    return (
        f"There are {size} test examples. On as many others of the same kind, the score of {these} lies in "
        f"{number_format.bounds_of(examples)} with 95 % confidence; other seeds are not covered."
    )


def _interval(bounds: list[Any] | None) -> Interval | None:
    if bounds is None or None in bounds:
        return None
    value, low, high = (float(bound) for bound in bounds)
    return Interval(value, low, high)
