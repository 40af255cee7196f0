"""The summary of the report: the result in one sentence, its caveats, and the selection bias."""

from typing import Any

from populace.core.errors import article
from populace.report import number_format
from populace.report.entries import floor_of, interval_of, score_of
from populace.report.runs import Reading
from populace.report.text import confirmation, coverage, significance, tuning
from populace.statistics import MIN_RUNS_ANY_SHAPE


def answer(reading: Reading) -> str:
    """Return the main result in one sentence."""
    members = len(reading.members)
    diverged = sum(m.get("diverged_at") is not None for m in reading.members)
    winner = reading.winner
    found = interval_of(winner.get(reading.headline)) if winner else None
    if members and diverged == members:
        whom = "The only member" if members == 1 else f"All {number_format.whole(members)} members"
        first = min(int(m["diverged_at"]) for m in reading.members)
        when = f"{'' if members == 1 else 'the first '}at step {number_format.whole(first)}"
        return f"{whom} diverged, {when}: there is no reliable {reading.score}."
    if winner is None or found is None:
        return f"No {reading.score} was measured in this run."
    if reading.confirmed:
        return confirmation.answer(reading, _who(reading, winner))
    seeds = len(winner["members"])
    sentence = f"{_who(reading, winner)} reaches {_what(reading, seeds)} of "
    sentence += number_format.interval(found, named=True)
    if seeds == 1:
        sentence += " from a single seed"
    elif not (found.range_of and number_format.has_width(found)):  # else the range has said it
        sentence += f" over {seeds} {'folds' if reading.folded else 'seeds'}"
    sentence += _how(reading, winner)
    if diverged:
        sentence += f"; {number_format.whole(diverged)} of {number_format.count(members, 'member')} diverged"
    return sentence + "."


def _who(reading: Reading, winner: dict[str, Any]) -> str:
    settings = len(reading.settings)
    name = reading.label(winner, full=True)
    if settings == 1:
        return name if reading.axes else f"“{name}”"
    return f"The best of {number_format.whole(settings)} settings – {name} –"


def _what(reading: Reading, seeds: int) -> str:
    if seeds > 1:
        return f"{'a' if reading.folded else 'an'} {reading.statistic} {reading.score}"
    return article(reading.score)


def _how(reading: Reading, winner: dict[str, Any]) -> str:
    if reading.headline == "validation" and not of_training(reading):
        return ", as evaluated during training; there was no separate test"
    tried = evaluation_size(reading, winner, reading.headline)
    each = "" if len(winner["members"]) == 1 else " each"
    text = f", on {_count(reading, tried, 'new ')}{each}" if tried else f", {tested_on(reading)}"
    return text + (f", in {backend(reading)}" if reading.headline == "external" else "")


def of_training(reading: Reading) -> bool:
    """Return whether the score is of the training itself, so that nothing was measured again."""
    return reading.results.get("independent_test", True) is None


def tested_on(reading: Reading) -> str:
    """Return what the final evaluation was measured on."""
    where = reading.results.get("test_description")
    return f"measured on {where}" if where else "measured after selection"


def evaluation_size(reading: Reading, entry: dict[str, Any], kind: str) -> int | None:
    """Return the size of each member's evaluation if it is the same for all members of a setting."""
    own = set(entry["members"])
    found = {
        (m.get(kind) or {}).get("size")
        for m in reading.members
        if m["member"] in own and score_of(m, kind) is not None
    }
    return found.pop() if len(found) == 1 else None


def _count(reading: Reading, size: int, adjective: str = "") -> str:
    return number_format.count(size, adjective + reading.results["evaluation_unit"].removesuffix("s"))


def backend(reading: Reading) -> str:
    """Return the name of the implementation in which the external scores were measured."""
    for member in reading.members:
        name = str((member.get("external") or {}).get("backend") or "")
        if name:
            return "Gymnasium" if name.lower() == "gymnasium" else name
    return "an external implementation"


def caveats(reading: Reading) -> list[str]:
    """Return the caveats of the result, one sentence each."""
    winner, notes = reading.winner, []
    if winner is None:
        return notes
    seeds, found = len(winner["members"]), reading.believed(winner)
    if seeds == 1:
        notes.append("One seed: no interval. Another seed may well give a different result.")
    elif found and not number_format.has_width(found):
        notes.append(f"All {seeds} seeds have the same score, so the interval has zero width.")
    elif found and found.range_of and not reading.confirmed:
        notes.append(
            f"{seeds} seeds are too few for a 95 % interval: what is given is their range. Another seed "
            f"falls outside it {200 / (seeds + 1):.0f} % of the time."
        )
    elif found and seeds < MIN_RUNS_ANY_SHAPE and not reading.folded:
        notes.append(
            f"With fewer than {MIN_RUNS_ANY_SHAPE} seeds the interval covers less than 95 % if scores are "
            "lopsided, such as near a ceiling."
        )
    if covers := coverage.sentence(reading):
        notes.append(covers)
    notes += confirmation.rival(reading)
    notes += [note for note in (significance.sentence(reading), significance.winner_bias(reading)) if note]
    if reading.results.get("start_weights"):
        notes.append(
            "All members started from the same given weights, so the interval says nothing of other starts."
        )
    if winner.get("diverged"):
        notes.append(
            f"{number_format.whole(winner['diverged'])} of the {seeds} members of this setting diverged. "
            f"They are included{_floor(reading, winner)}."
        )
    leader = reading.ranked[0]
    ahead, own = reading.believed(leader), reading.believed(winner)
    if ahead and own and ahead.value != own.value:  # a tie does not question the choice
        notes.append(
            f"After selection, {reading.label(leader)} scored better "
            f"({number_format.interval(ahead)}). The selected setting is kept: selecting again on the "
            "test scores would bias them too."
        )
    notes += [str(note) for note in reading.results.get("caveats") or []]
    if early := reading.results.get("stopped_early"):
        notes.append(
            f"Training ended early, at step {number_format.whole(early['step'])} of "
            f"{number_format.whole(reading.results['steps_total'])}: {early['reason']}. That moment was "
            "chosen for its high score; the final evaluation was not."
        )
    notes += tuning.sentences(reading)
    if reading.score_threshold is not None:
        scores = [score_of(m, reading.measured) for m in reading.members]
        own = [s for m, s in zip(reading.members, scores) if m["member"] in winner["members"]]
        side = "or less" if reading.lower else "or more"
        several = len(reading.settings) > 1
        setting = "this setting's " if several else ""
        mine = f"{_solved(reading, own)} of {setting}{number_format.count(len(own), 'member')}"
        notes.append(
            f"{reading.score.capitalize()} of {number_format.number(reading.score_threshold)} {side} "
            "counts as solved. "
            f"Solved by {mine}"
            + (f", and by {_solved(reading, scores)} of all {len(scores)}." if several else ".")
        )
    return notes


def _floor(reading: Reading, entry: dict[str, Any]) -> str:
    """Return what a diverged member counts as, in words."""
    floor, what = floor_of(entry, reading.results["score"]["name"]), reading.results["score"].get("floor")
    return "" if floor is None else f", each as {number_format.number(floor)}, {what}"


def _solved(reading: Reading, scores: list[float | None]) -> int:
    goal, sign = reading.score_threshold or 0.0, -1 if reading.lower else 1
    return sum(s is not None and sign * s >= sign * goal for s in scores)


def scores_by_source(reading: Reading) -> list[dict[str, str]]:
    """Return the best setting's validation, test and external scores, those that exist."""
    winner = reading.winner or {}
    which = "last" if reading.results.get("checkpoint_selection") == "last" else "best"
    where = {
        "validation": ("Validation", f"the {which} evaluation of each member during training"),
        "test": ("Test", "the saved models, evaluated after selection"),
        "external": ("External", f"the same models, evaluated in {backend(reading)}"),
    }
    if of_training(reading):
        where["validation"] = ("Score", f"of the training itself, {tested_on(reading)}")
    rows = []
    for kind, (title, meaning) in where.items():
        found = interval_of(winner.get(kind))
        if found is None:
            continue
        tried = evaluation_size(reading, winner, kind) if kind != "validation" else None
        more = f", {_count(reading, tried)} per member" if tried else ""
        if kind == "test" and reading.results.get("independent_test") is False:
            title, meaning = "Validation again", "the saved models, evaluated on what they were selected by"
        if kind == "test" and not tried and reading.results.get("test_description"):
            more = f", on {reading.results['test_description']}"
        rows.append({"title": title, "meaning": meaning + more, "value": number_format.interval(found)})
    if reading.confirmed:
        seeds = number_format.count(reading.confirmed[0]["test"]["n"], "new seed")
        value = number_format.interval(interval_of(reading.confirmed[0]["test"]))
        meaning = f"the setting trained again, on {seeds}"
        rows.append({"title": "Confirmation", "meaning": meaning, "value": value})
    return rows


def bias(reading: Reading) -> str:
    """Return an explanation of the selection bias of the validation score."""
    winner = reading.winner or {}
    chosen, fresh = interval_of(winner.get("validation")), interval_of(winner.get("test"))
    if chosen is None:
        return ""
    if reading.results.get("independent_test") is False:
        return (
            "There is no test part: the final score is of the examples that models and settings were "
            "selected by, so it is as optimistic as the validation score. Expect a worse one on new examples."
        )
    many = len(reading.settings)
    last = reading.results.get("checkpoint_selection") == "last"
    if of_training(reading):
        own = "The score is of the training itself: no evaluation was lucky, and none can be repeated."
        pick = f" The setting is the best of {number_format.whole(many)} by it, and its seeds may be lucky"
        if many == 1 or reading.confirmed:
            return own + (pick + "; the confirmation is not." if many > 1 else "")
        return own + pick + ": `populace confirm` trains it on new ones."
    if fresh is None:
        return (
            "This is the best of many noisy evaluations, so part of it is luck. There is no test score: "
            "expect a worse one."
        )
    if last and many == 1:
        return "Nothing was selected by the validation score, so it is not biased."
    pick = f", and the setting is the best of {number_format.whole(many)}" if many > 1 else ""
    member = "each member contributes the best of many noisy evaluations" + pick
    if last:
        member = f"the setting is the best of {number_format.whole(many)} by these noisy evaluations"
    gap = (fresh.value - chosen.value) if reading.lower else (chosen.value - fresh.value)
    believe = "The test score was measured after selection, so report that one."
    if reading.confirmed:
        believe = "The confirmation was trained on new seeds after selection, so report that one."
    elif interval_of(winner.get("external")):
        believe = "The other scores were measured after selection, so report those."
    optimistic = (
        f"Here it is {number_format.number(gap, 2)} too optimistic."
        if gap > 0
        else "Here the test score is not worse."
    )
    return (
        f"The validation score is usually too optimistic (selection bias): {member}. {optimistic} {believe}"
    )


def stopped(reading: Reading) -> str:
    """Return how far an interrupted run got; empty for a finished one."""
    results = reading.results
    if results.get("status") != "stopped":
        return ""
    done, total = results.get("steps"), results.get("steps_total")
    share = f" ({100 * done / total:.0f} %)" if done is not None and total else ""
    return (
        f"This run was stopped after {number_format.whole(done)} of {number_format.whole(total)} "
        f"steps{share}. "
        "Everything below refers to the part that was run."
    )
