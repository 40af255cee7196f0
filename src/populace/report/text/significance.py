"""Sentences on whether the selected setting differs significantly from the others."""

import math

from populace.report import number_format
from populace.report.runs import Reading
from populace.report.winner_comparison import WinnerComparison
from populace.statistics import MIN_RUNS_PER_SIDE


def sentence(reading: Reading) -> str:
    """Return than how many settings the winner is significantly better; empty without other settings."""
    found = reading.comparison
    if found is None:
        return ""
    others = len(found.comparisons)
    if not found.testable:
        seeds = min(map(len, found.scores.values()))
        return (
            f"{number_format.count(seeds, 'seed')} per setting {'is' if seeds == 1 else 'are'} too few to "
            f"test the differences between {others + 1} settings: their order may be due to chance."
        )
    differing = [comparison for comparison in found.comparisons.values() if comparison.significant]
    better = sum(comparison.probability_of_improvement.value > 0.5 for comparison in differing)
    worse = len(differing) - better
    rest = others - len(differing)
    chance = f"; differences from the other {rest} may be due to chance" if rest > 1 else ""
    if rest == 1:
        chance = "; the difference from the remaining one may be due to chance"
    if not differing:
        if others == 1:
            return "The two settings do not differ significantly: their order may be due to chance."
        return (
            f"None of the other {others} settings differs significantly from the selected one: the order may "
            "be due to chance."
        )
    said = [f"better than {_of(better, others)}"] if better else []
    said += [f"worse than {_of(worse, others)}"] if worse else []
    return f"The selected setting is significantly {' and '.join(said)}{chance}."


def _of(some: int, others: int) -> str:
    if some == others:
        return {1: "the other setting", 2: "both other settings"}.get(others, f"all {others} other settings")
    return f"{some} of the {others} other settings"


def winner_bias(reading: Reading) -> str:
    """Return how large the bias of the winner's score may be; empty if there is none, or it is not known."""
    found = reading.comparison and reading.comparison.winner_bias
    if not found or found.contenders < 2 or found.at_most == 0 or reading.confirmed:
        return ""
    own = reading.believed(reading.winner) if reading.winner else None
    if own and found.at_most < 0.01 * (own.high - own.low):  # less than the digits that are shown
        return ""
    return (
        "The setting was selected on the same seeds that it is scored on, so its score may be too "
        f"{'low' if reading.lower else 'high'}: by {number_format.rough(found.at_most, 2)} if the "
        f"{found.contenders} leading settings are in truth equal, by less if they differ. "
        "Training it again on new seeds removes this bias."
    )


def details(reading: Reading) -> list[str]:
    """Return how settings were compared, one sentence each; empty without other settings."""
    found = reading.comparison
    if found is None:
        return []
    notes = []
    if found.testable:
        pairs = len(found.comparisons) * (len(found.comparisons) + 1) // 2
        test = "Wilcoxon's signed-rank test, seed by seed" if _by_seed(found) else _PERMUTED
        among = f" for the {pairs} pairs among which the winner was selected" if pairs > 1 else ""
        notes.append(
            f"Differences are tested by {test}, with Holm's correction{among}: if all settings were equal, "
            "at most 5 of 100 such sweeps would show any significant difference."
        )
    notes += _best(reading, found)
    if found.intraclass_correlation is not None:
        notes.append(_pairing(found))
    return notes


_PERMUTED = "a permutation test (Brunner-Munzel)"


def _by_seed(found: WinnerComparison) -> bool:
    return any(comparison.paired for comparison in found.comparisons.values())


def _best(reading: Reading, found: WinnerComparison) -> list[str]:
    chance = found.probability_best[found.winner]
    if math.isnan(chance):
        return [
            f"With fewer than {MIN_RUNS_PER_SIDE} seeds it cannot be estimated which setting is the best."
        ]
    many, all_of_them = len(found.best_subset), len(found.scores)
    notes = [
        f"Trained on other seeds, the selected setting would be the best {100 * chance:.0f} % of the time."
    ]
    if many == 1:
        (only,) = found.best_subset
        which = "the selected one" if only == found.winner else "another than the selected one"
        return [
            *notes,
            f"With 95 % confidence the best setting is {which} (Hsu's multiple comparisons with the best).",
        ]
    which = "any of them" if many == all_of_them else f"one of {many} of the {all_of_them}"
    return [
        *notes,
        f"With 95 % confidence the best setting is {which} (Hsu's multiple comparisons with the best).",
    ]


def _pairing(found: WinnerComparison) -> str:
    share = found.intraclass_correlation or 0.0
    said = (
        f"The settings share their seeds, which explain {100 * share:.0f} % of the variance within settings: "
    )
    if _by_seed(found):
        return (
            said
            + f"compared seed by seed, differences are {100 * (1 - math.sqrt(1 - share)):.0f} % narrower."
        )
    if found.paired:
        return said + "more seeds would allow a comparison seed by seed."
    return said + "a comparison seed by seed would gain nothing."
