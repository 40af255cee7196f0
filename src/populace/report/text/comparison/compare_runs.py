"""The sentences and the table of a comparison of runs."""

from collections.abc import Sequence

from populace.report import number_format
from populace.report.run_comparison import CONFIRMATION, RunComparison
from populace.report.text.comparison import budgets
from populace.report.text.tables import Cell, Column, Row, Table, count_cell, interval_cell

LABELS = {
    CONFIRMATION: "on new seeds (confirmation)",
    "external": "external score",
    "test": "test score",
    "validation": "validation score",
}


def answer(panels: Sequence[RunComparison]) -> str:
    """Return the comparison in a few sentences; runs of different tasks or measures are not ranked."""
    if len(panels) == 1:
        return sentence(panels[0])
    scores = list(dict.fromkeys(found.score for found in panels))
    tasks = list(dict.fromkeys(found.task or "one that is not known" for found in panels))
    if len(scores) > 1:
        what = f"different scores ({_listed(scores)})"
    else:
        what = f"different tasks ({_listed(tasks)})" if len(tasks) > 1 else "different tasks"
    return f"These runs have {what}, so they cannot be ranked against one another: each has a panel."


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def sentence(found: RunComparison) -> str:
    """Return the comparison of runs of one task and one measure."""
    order = found.ranked
    if not order:
        return f"None of the {len(found.names)} runs has a {found.score} to compare."
    best, several = order[0], len(found.names) > 1
    extreme = "lowest" if found.lower else "highest"
    text = (
        f"Of {len(found.names)} runs, “{found.names[best]}” reaches the {extreme} "
        f"{found.statistic} {found.score}: {number_format.interval(found.found(best))}"
    )
    if not several:
        return f"“{found.names[best]}” reaches {number_format.interval(found.found(best))}."
    if len(order) == 1:
        return f"{text}; no other run has a {found.score}."
    if len(found.tied) > 1:
        which = "All" if len(found.tied) == len(order) > 2 else f"{len(found.tied)} of"
        which = "Both" if len(order) == 2 else which
        what = f"{which} {'' if which == 'Both' else f'{len(found.names)} '}runs"
        return (
            f"{what} reach the same {found.statistic} {found.score}: "
            f"{number_format.interval(found.found(best))}." + _unlike(found)
        )
    second = order[1]
    text += f", ahead of “{found.names[second]}” with {number_format.interval(found.found(second))}. "
    comparison = found.best.comparisons.get(second) if found.members(best) else None
    if comparison is None:
        return text.rstrip() + _unlike(found)
    seeds = min(found.seeds(best), found.seeds(second))
    many = number_format.count(seeds, "seed")
    differ = f"the difference is not significant (on {many})"
    if not comparison.testable:
        differ = f"{many} {'is' if seeds == 1 else 'are'} too few to test the difference"
    elif comparison.significant:
        p = number_format.rough(comparison.p_value, 2)
        differ = f"the difference is significant (permutation test, p = {p})"
    return (
        f"{text}A member of the first scores better than one of the second with probability "
        f"{number_format.interval(comparison.probability_of_improvement)}: {differ}."
    ) + _unlike(found)


def _unlike(found: RunComparison) -> str:
    """Return what the runs do not have alike: budgets, and scores that selection may have biased."""
    text = budgets.unequal(found.readings, found.names)
    selected = [i for i in found.ranked if len(found.readings[i].settings) > 1]
    some = CONFIRMATION in found.kinds
    biased = [f"“{found.names[i]}”" for i in selected if some and found.kinds[i] != CONFIRMATION]
    if biased:
        was = "was" if len(biased) == 1 else "were"
        text += f" {_listed(biased)} {was} not confirmed: the seeds that selected the setting also score it, "
        text += "so it may look better than it is."
    return text


def sources(found: RunComparison) -> str:
    """Return what the scores are, `test score` or `on new seeds (confirmation)`."""
    kinds = dict.fromkeys(found.kinds[i] for i in found.ranked)
    return ", or ".join(LABELS[kind] for kind in kinds)


def runs_table(found: RunComparison) -> Table:
    """Return a table of the runs and their selected settings; those with the best score are bold."""
    columns = [
        Column("run", identifies=True),
        Column(found.score, numeric=True, score=True, hint=f"{found.statistic} over the seeds"),
        Column("source", hint="what the score was measured on", silent=True),
        Column("selected setting"), Column("seeds", numeric=True), Column("diverged", numeric=True),
        Column("settings searched", numeric=True), Column("training per member", numeric=True),
        Column("evaluations", numeric=True, hint="among which the best model was chosen"),
        Column("wall time", numeric=True), Column("status", silent=True),
    ]  # fmt: skip
    table = Table("runs-table", "All runs and their selected settings", columns)
    order, several = found.ranked, len(found.names) > 1
    for i in order + [i for i in range(len(found.names)) if i not in order]:
        reading = found.readings[i]
        wall = (reading.results.get("timing") or {}).get("wall_s")
        label = reading.label(reading.winner) if reading.winner and reading.axes else "the only one"
        diverged = sum(m.get("diverged_at") is not None for m in reading.members)
        status = str(reading.results["status"])
        cells = [
            Cell(found.names[i], found.names[i], found.color(i)),
            interval_cell(found.found(i)),
            Cell(LABELS[found.kinds[i]], LABELS[found.kinds[i]]),
            Cell(label, label),
            count_cell(found.seeds(i)),
            Cell(f"{number_format.whole(diverged)} of {number_format.whole(len(reading.members))}", diverged),
            *(Cell(shown, value) for shown, value in budgets.cells(reading)),
            Cell(number_format.duration(wall), wall),
            Cell(status, status),
        ]
        table.rows.append(Row(cells, chosen=several and i in found.tied))
    return table.condensed()
