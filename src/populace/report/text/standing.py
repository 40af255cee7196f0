"""Sentences on how the selected setting stands to the others."""

import math

from populace.report import number_format
from populace.report.runs import Reading
from populace.report.standing import Standing
from populace.statistics import FEWEST_A_SIDE


def told_apart(reading: Reading) -> str:
    """Return from how many settings the winner is told apart; empty without other settings."""
    found = reading.standing
    if found is None:
        return ""
    others = len(found.verdicts)
    if not found.possible:
        seeds = min(map(len, found.scores.values()))
        return (
            f"{number_format.count(seeds, 'seed')} per setting cannot tell {others + 1} settings apart: "
            "the order of the settings may be luck."
        )
    told = sum(verdict.told_apart for verdict in found.verdicts.values())
    if told == others:
        which = "every other setting" if others > 1 else "the other setting"
    elif told == 0:
        which = f"none of the {others} other settings" if others > 1 else ""
    else:
        which = f"{told} of the {others} other settings"
    if not which:
        return "It is not told apart from the other setting: the difference may be luck."
    return f"It is told apart from {which}; what is not told apart may differ by luck."


def luck(reading: Reading) -> str:
    """Return how large the bias of the winner's score may be; empty if there is none, or it is not known."""
    found = reading.standing and reading.standing.bias
    if not found or found.contenders < 2 or found.at_most == 0 or reading.confirmed:
        return ""
    return (
        "The winner was chosen among settings on the same seeds, and new episodes do not remove the luck of "
        f"its seeds: if the {found.contenders} settings that come into question are equal, its score is "
        f"{number_format.rough(found.at_most, 2)} too {'low' if reading.lower else 'high'}. "
        "New seeds would tell."
    )


def details(reading: Reading) -> list[str]:
    """Return how settings were compared, one sentence each; empty without other settings."""
    found = reading.standing
    if found is None:
        return []
    notes = []
    if found.possible:
        pairs = len(found.verdicts) * (len(found.verdicts) + 1) // 2
        test = "Wilcoxon's signed-rank test, seed by seed" if _by_seed(found) else _PERMUTED
        among = f" over the {pairs} pairs among which the winner was chosen" if pairs > 1 else ""
        notes.append(
            f"Settings are told apart by {test}, with Holm's correction{among}: of 100 sweeps of equal "
            "settings, at most 5 tell any two apart."
        )
    notes += _best(reading, found)
    if found.share is not None:
        notes.append(_pairing(found))
    return notes


_PERMUTED = "a permutation test (Brunner-Munzel)"


def _by_seed(found: Standing) -> bool:
    return any(verdict.paired for verdict in found.verdicts.values())


def _best(reading: Reading, found: Standing) -> list[str]:
    chance = found.chances[found.winner]
    if math.isnan(chance):
        return [f"With fewer than {FEWEST_A_SIDE} seeds nothing can be said of which setting is the best."]
    many, all_of_them = len(found.may_be_best), len(found.scores)
    notes = [f"If the seeds were drawn anew, the selected setting would be the best in {100 * chance:.0f} %."]
    if many == 1:
        (only,) = found.may_be_best
        which = "the selected one" if only == found.winner else "another than the selected one"
        return [*notes, f"With 95 % confidence the best setting is {which} (Hsu's comparison with the best)."]
    which = "any of them" if many == all_of_them else f"one of {many} of the {all_of_them}"
    return [*notes, f"With 95 % confidence the best setting is {which} (Hsu's comparison with the best)."]


def _pairing(found: Standing) -> str:
    share = found.share or 0.0
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
