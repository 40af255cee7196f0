"""Sentences on the winner and its nearest rival as trained again on new seeds."""

from populace.report import number_format
from populace.report.entries import interval_of
from populace.report.runs import Reading
from populace.report.winner_comparison import WinnerComparison


def answer(reading: Reading, who: str) -> str:
    """Return the main result of a confirmed run in one sentence; `who` names the winner."""
    own = reading.confirmed[0]
    found = interval_of(own["test"])
    assert found is not None
    seeds = own["test"]["n"]
    what = (
        f"{'a' if reading.folded else 'an'} {reading.statistic} {reading.score}"
        if seeds > 1
        else f"the {reading.score}"
    )
    sentence = f"{who} reaches {what} of {number_format.interval(found, named=True)}"
    sentence += f" on {number_format.count(seeds, 'new seed')} that took no part in choosing it"
    diverged = own["diverged"]
    return sentence + (f"; {diverged} of {seeds} members diverged." if diverged else ".")


def rival(reading: Reading) -> list[str]:
    """Return how winner and rival compare on the new seeds, in one sentence; none if not confirmed."""
    if len(reading.confirmed) < 2:
        return []
    own, other = reading.confirmed
    found = interval_of(other.get("test"))
    if found is None:
        return []
    scores = {i: entry["test"]["scores"] for i, entry in enumerate((own, other))}
    comparison = WinnerComparison(0, scores, lower=reading.lower).comparisons[1]
    label = reading.label(other, full=True)
    text = f"On the same new seeds its nearest rival, {label}, reaches {number_format.interval(found)}: "
    if not comparison.testable:
        return [text + "too few seeds to test the difference."]
    if not comparison.significant:
        return [text + "the difference is not significant."]
    better = "worse" if comparison.probability_of_improvement.value > 0.5 else "better"
    return [text + f"the rival is significantly {better}."]
