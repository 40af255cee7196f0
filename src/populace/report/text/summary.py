"""The report in words: the answer in one sentence, and what keeps it honest."""

from typing import Any

from populace.report import number_format
from populace.report.runs import Reading, interval_of, score_of


def answer(reading: Reading) -> str:
    """Return the one sentence that a reader came for."""
    members = len(reading.members)
    diverged = sum(m.get("diverged_at") is not None for m in reading.members)
    winner = reading.winner
    found = interval_of(winner.get(reading.headline)) if winner else None
    if members and diverged == members:
        whom = "The only member" if members == 1 else f"All {number_format.whole(members)} members"
        first = min(int(m["diverged_at"]) for m in reading.members)
        when = f"{'' if members == 1 else 'the first '}at step {number_format.whole(first)}"
        return f"{whom} diverged, {when}: no {reading.score} can be relied on."
    if winner is None or found is None:
        return f"No {reading.score} was measured in this run."
    seeds = len(winner["members"])
    sentence = f"{_who(reading, winner)} reaches {_what(reading, seeds)} of "
    if number_format.has_width(found):
        sentence += number_format.interval(found, word="95 % interval ")
    else:
        sentence += number_format.number(found.value)
    sentence += " from a single seed" if seeds == 1 else f" over {seeds} seeds"
    sentence += _how(reading, winner)
    if diverged:
        sentence += f"; {number_format.whole(diverged)} of {number_format.count(members, 'member')} diverged"
    return sentence + "."


def _who(reading: Reading, winner: dict[str, Any]) -> str:
    settings = len(reading.settings)
    name = reading.label(winner, full=True)
    if settings == 1:
        return name if winner.get("values") else f"“{name}”"
    return f"The best of {number_format.whole(settings)} settings – {name} –"


def _what(reading: Reading, seeds: int) -> str:
    if seeds > 1:
        return f"an interquartile mean {reading.score}"
    return f"a {reading.score}" if reading.score[:1] not in "aeiou" else f"an {reading.score}"


def _how(reading: Reading, winner: dict[str, Any]) -> str:
    if reading.headline == "validation":
        return ", as evaluated during training and not measured afresh"
    tried = evaluation_size(reading, winner, reading.headline)
    each = "" if len(winner["members"]) == 1 else " each"
    text = f", {_count(reading, tried, 'fresh ')}{each}" if tried else f", {afresh(reading)}"
    return text + (f", in {backend(reading)}" if reading.headline == "external" else "")


def afresh(reading: Reading) -> str:
    """Return in words what the final evaluation measured on."""
    where = reading.results.get("test_description")
    return f"measured on {where}" if where else "measured afresh"


def evaluation_size(reading: Reading, entry: dict[str, Any], kind: str) -> int | None:
    """Return the size of the evaluation of each member of a setting, if all had the same."""
    found = {
        (m.get(kind) or {}).get("size")
        for m in reading.members
        if m["member"] in entry["members"] and score_of(m, kind) is not None
    }
    return found.pop() if len(found) == 1 else None


def _count(reading: Reading, size: int, adjective: str = "") -> str:
    return number_format.count(size, adjective + reading.results["evaluation_unit"].removesuffix("s"))


def backend(reading: Reading) -> str:
    """Return the words for where the outside numbers were measured."""
    for member in reading.members:
        name = str((member.get("external") or {}).get("backend") or "")
        if name:
            return "the real Gymnasium" if name.lower() == "gymnasium" else name
    return "an outside implementation"


def doubts(reading: Reading) -> list[str]:
    """Return what a careful reader must know about the answer, a sentence each."""
    winner, notes = reading.winner, []
    if winner is None:
        return notes
    seeds, found = len(winner["members"]), reading.believed(winner)
    if seeds == 1:
        notes.append("One seed: no interval. Another seed may well give another result.")
    elif found and not number_format.has_width(found):
        notes.append(f"All {seeds} seeds scored alike, so the interval has no width.")
    elif seeds < 5:
        notes.append(f"{seeds} seeds are few: an interval from so few is rough, and often too narrow.")
    if winner.get("diverged"):
        notes.append(
            f"{number_format.whole(winner['diverged'])} of the {seeds} members of this setting diverged. "
            "They are counted, scored as the worst that any member reached."
        )
    leader = reading.ranked[0]
    ahead, own = reading.believed(leader), reading.believed(winner)
    if ahead and own and ahead.value != own.value:  # a tie takes nothing from the choice
        notes.append(
            f"Measured afterwards, {reading.label(leader)} came out ahead "
            f"({number_format.interval(ahead)}). The choice was made before that and "
            "stands: choosing again on these numbers would bias them too."
        )
    if early := reading.results.get("stopped_early"):
        notes.append(
            f"Training ended early, at step {number_format.whole(early['step'])} of "
            f"{number_format.whole(reading.results['steps_total'])}: {early['reason']}. That moment was chosen for "
            "its high score; the final evaluation was not."
        )
    halted = sum(m.get("stopped_at") is not None for m in reading.members)
    copied = sum(bool(m.get("lineage")) for m in reading.members)
    if halted:
        notes.append(f"A controller stopped {number_format.count(halted, 'member')} before the end.")
    if copied:
        notes.append(f"The state of {number_format.count(copied, 'member')} was copied from another member.")
    if reading.score_threshold is not None:
        scores = [score_of(m, reading.measured) for m in reading.members]
        own = [s for m, s in zip(reading.members, scores) if m["member"] in winner["members"]]
        side = "or less" if reading.lower else "or more"
        several = len(reading.settings) > 1
        setting = "this setting's " if several else ""
        mine = f"{_solved(reading, own)} of {setting}{number_format.count(len(own), 'member')}"
        notes.append(
            f"A {reading.score} of {number_format.number(reading.score_threshold)} {side} counts as solved: "
            + (f"{mine} and {_solved(reading, scores)} of all {len(scores)}" if several else mine)
            + " did it."
        )
    return notes


def _solved(reading: Reading, scores: list[float | None]) -> int:
    goal, sign = reading.score_threshold or 0.0, -1 if reading.lower else 1
    return sum(s is not None and sign * s >= sign * goal for s in scores)


def two_numbers(reading: Reading) -> list[dict[str, str]]:
    """Return the winner's numbers by how they were measured, those that exist."""
    winner = reading.winner or {}
    which = "last" if reading.results.get("checkpoint_selection") == "last" else "best"
    where = {
        "validation": ("Chosen on", f"the {which} evaluation of each member during training"),
        "test": ("Measured afresh", "the kept state, after the choice was made"),
        "external": ("Measured outside", f"the same, played in {backend(reading)}"),
    }
    rows = []
    for kind, (title, meaning) in where.items():
        found = interval_of(winner.get(kind))
        if found is None:
            continue
        tried = evaluation_size(reading, winner, kind) if kind != "validation" else None
        more = f", {_count(reading, tried)} per member" if tried else ""
        if kind == "test" and not tried and reading.results.get("test_description"):
            more = f", on {reading.results['test_description']}"
        rows.append({"title": title, "meaning": meaning + more, "value": number_format.interval(found)})
    return rows


def bias(reading: Reading) -> str:
    """Return why the number a winner was chosen on is not the one to believe."""
    winner = reading.winner or {}
    chosen, fresh = interval_of(winner.get("validation")), interval_of(winner.get("test"))
    if chosen is None:
        return ""
    if fresh is None:
        return (
            "This is the best of many noisy evaluations, so part of it is luck. It was not "
            "measured afresh: expect worse."
        )
    many = len(reading.settings)
    pick = f" and the winner the best of {number_format.whole(many)} settings" if many > 1 else ""
    gap = (fresh.value - chosen.value) if reading.lower else (chosen.value - fresh.value)
    believe = "The fresh number was measured after the choice. Believe that one."
    if interval_of(winner.get("external")):
        believe = "The others were measured after the choice. Believe those."
    flatters = (
        f"Here it flatters by {number_format.number(gap, 2)}."
        if gap > 0
        else "Here the fresh number did not come out worse."
    )
    return (
        "The first number flatters as a rule: each member's is the best of its many noisy "
        f"evaluations{pick}, and the best of many noisy numbers is partly luck (selection bias). "
        f"{flatters} {believe}"
    )


def stopped(reading: Reading) -> str:
    """Return how far a stopped run came, empty for a finished one."""
    results = reading.results
    if results.get("status") != "stopped":
        return ""
    done, total = results.get("steps"), results.get("steps_total")
    share = f" ({100 * done / total:.0f} %)" if done is not None and total else ""
    return (
        f"This run was stopped after {number_format.whole(done)} of {number_format.whole(total)} "
        f"steps{share}. "
        "Everything below describes what was done until then."
    )
