"""Comparison of several runs: their best settings, and what else differs."""

import itertools
import math
from typing import Any

from populace.report import number_format
from populace.report.charts.chart import COUNTS, Chart, curve_traces, dash_of, layout, shorten, text
from populace.report.charts.curves import score_grid, setting_curve
from populace.report.charts.forest_plot import ForestRow, forest_plot
from populace.report.charts.heatmap import heat_axes, heat_map
from populace.report.runs import MEASUREMENTS, Reading, interval_of
from populace.report.sections.evaluation import improvement, profile_chart
from populace.report.text import budgets
from populace.report.text.differences import differences, environment, recipe
from populace.report.text.tables import Cell, Column, Row, Table
from populace.report.winner_comparison import WinnerComparison
from populace.statistics import Interval

LABELS = {"external": "external score", "test": "test score", "validation": "validation score"}


class RunComparison:
    """Runs with distinct names, and the kind of score that all their winners have."""

    def __init__(self, readings: list[Reading]) -> None:
        self.readings = readings
        self.names = _names(readings)
        self.scores = sorted({reading.score for reading in readings})
        self.lower = readings[0].lower
        self.tasks = dict.fromkeys(r.task for r in readings if not r.panels)
        several = any(r.panels for r in readings)
        alike = {(r.score, r.lower, r.task[1]) for r in readings}
        self.comparable = len(alike) == 1 and not several
        self.measured = next(
            (k for k in MEASUREMENTS if all(self._found(r, k) for r in readings if r.winner)),
            "test",
        )

    def _found(self, reading: Reading, kind: str) -> Interval | None:
        return interval_of((reading.winner or {}).get(kind))

    def found(self, index: int) -> Interval | None:
        """Return the interquartile mean of a run's best setting."""
        return self._found(self.readings[index], self.measured)

    def members(self, index: int) -> list[float]:
        """Return the scores of the members of a run's best setting."""
        scores = ((self.readings[index].winner or {}).get(self.measured) or {}).get("scores") or []
        return [] if any(s is None for s in scores) else [float(s) for s in scores]

    def ranked(self) -> list[int]:
        """Return the runs that have a score, from best to worst."""
        scored = [
            (found.value if self.lower else -found.value, i)
            for i in range(len(self.readings))
            if (found := self.found(i)) is not None
        ]
        return [i for _, i in sorted(scored)] if self.comparable else [i for _, i in scored]

    @property
    def bounds(self) -> str:
        """What the bounds around the scores of the winners are, `95 % interval` or `range of 4 seeds`."""
        counts = (len(r.winner["members"]) for r in self.readings if r.winner)
        return number_format.bounds_name(counts) or "single seeds"

    def color(self, index: int) -> str:
        """Return the color of a run."""
        return f"c{index}" if index < 7 else "muted"


def several(readings: list[Reading]) -> dict[str, Any]:
    """Return the content of the comparison page."""
    found = RunComparison(readings)
    charts: dict[str, Chart | None] = {
        "curves": curves(found),
        "leaderboard": leaderboard(found),
        "profile": profiles(found),
        "matrix": matrix(found),
    }
    return {
        "title": f"{len(readings)} runs compared",
        "about": " · ".join(found.names),
        "answer": answer(found),
        "charts": charts,
        "score": " / ".join(found.scores),
        "better": "lower" if found.lower else "higher",
        "measured": LABELS[found.measured],
        "bounds": found.bounds,
        "runs_table": runs_table(found),
        "environments": differences("environment-table", found.names, map(environment, readings)),
        "recipes": differences("recipe-table", found.names, map(recipe, readings)),
        "stopped": [n for n, r in zip(found.names, readings) if r.results["status"] == "stopped"],
        "version": readings[0].results.get("populace") or "",
        "started": "",
    }


def answer(found: RunComparison) -> str:
    """Return the comparison in one or two sentences."""
    if not found.comparable and len(found.scores) == 1:
        which = " and ".join(name or "one that is not known" for name, _ in found.tasks)
        which = f" ({which})" if which and not any(r.panels for r in found.readings) else ""
        return (
            f"These runs are of different tasks{which}, so they cannot be ranked; they are only shown side "
            "by side."
        )
    if not found.comparable:
        names = " and ".join(found.scores)
        return (
            f"These runs have different scores ({names}), so they cannot be ranked; they are only shown side "
            "by side."
        )
    order = found.ranked()
    score = found.readings[0].score
    if not order:
        return f"None of the {len(found.names)} runs has a {score} to compare."
    best = order[0]
    extreme = "lowest" if found.lower else "highest"
    text = (
        f"Of {len(found.names)} runs, “{found.names[best]}” reaches the {extreme} "
        f"interquartile mean {score}: {number_format.interval(found.found(best))}"
    )
    if len(order) == 1:
        return f"{text}; no other run has a {score}."
    second = order[1]
    compared = WinnerComparison(best, {i: found.members(i) for i in order}, lower=found.lower)
    comparison = compared.comparisons[second]
    text += f", ahead of “{found.names[second]}” with {number_format.interval(found.found(second))}. "
    many = number_format.count(min(len(found.members(best)), len(found.members(second))), "seed")
    differ = f"the difference is not significant (on {many})"
    if not comparison.testable:
        differ = f"{many} are too few to test the difference"
    elif comparison.significant:
        p = number_format.rough(comparison.p_value, 2)
        differ = f"the difference is significant (permutation test, p = {p})"
    return (
        f"{text}A member of the first scores better than one of the second with probability "
        f"{number_format.interval(comparison.probability_of_improvement)}: {differ}."
    ) + budgets.unequal(found.readings, found.names)


def curves(found: RunComparison) -> Chart | None:
    """Overlay the learning curves of the runs' best settings."""
    traces, legend = [], []
    for index, (reading, name) in enumerate(zip(found.readings, found.names)):
        grid = score_grid(reading)
        if grid is None or reading.winner is None:
            continue
        color = found.color(index)
        curve, dash = setting_curve(grid, reading.winner), dash_of(color)
        drawn = curve_traces(curve, name, color, dash=dash, unit=reading.unit)
        label = {"label": shorten(name, 60), "color": color, "dash": dash}
        legend.append(label | {"traces": [len(traces), len(traces) + 1]})
        traces += drawn
    if not traces:
        return None
    units = " / ".join(dict.fromkeys(reading.unit for reading in found.readings))
    axes = layout({"title": units, **COUNTS}, {"title": " / ".join(found.scores)})
    alt = f"Learning curves: the best setting of each run, interquartile mean and {found.bounds}."
    return Chart("curves", alt, traces, axes, height=420, legend=legend)


def leaderboard(found: RunComparison) -> Chart | None:
    """Plot the best setting of each run with its interval."""
    rows = [
        ForestRow(found.names[i], interval, found.color(i))
        for i in found.ranked()
        if (interval := found.found(i)) is not None
    ]
    if not rows or not found.comparable:
        return None
    title = f"interquartile mean {found.scores[0]}"
    return forest_plot("leaderboard", rows, x=title, alt=f"Runs ranked; the first is {rows[0].label}.")


def profiles(found: RunComparison) -> Chart | None:
    """Plot the performance profiles of the runs' best settings."""
    if not found.comparable:
        return None
    named = [(found.names[i], found.members(i), found.color(i)) for i in found.ranked()[:6]]
    return profile_chart(named, score=found.scores[0], lower=found.lower)


def matrix(found: RunComparison) -> Chart | None:
    """Plot the probability that the run in each row improves on the run in each column."""
    order = [i for i in found.ranked() if found.members(i)]
    if not found.comparable or len(order) < 2:
        return None
    chance = {
        (a, b): improvement(found.members(a), found.members(b), lower=found.lower)
        for a, b in itertools.permutations(order, 2)
    }
    z = [[chance[a, b].value if a != b else math.nan for b in order] for a in order]
    labels = [[f"{p.value:.2f}" if (p := chance.get((a, b))) else "" for b in order] for a in order]
    hover = [
        [
            f"{text(found.names[a])} over {text(found.names[b])}<br><b>{number_format.interval(p)}</b>"
            if (p := chance.get((a, b)))
            else ""
            for b in order
        ]
        for a in order
    ]
    names = [shorten(found.names[i], 22) for i in order]
    trace, notes = heat_map(z, labels, hover, bounds=(0.0, 1.0))
    drawn = heat_axes(("improves on", names), ("", names), notes)
    drawn["yaxis"]["range"] = [len(order) - 0.5, -0.5]
    alt = "Matrix: probability that the run in the row scores better than the run in the column."
    height, width = 130 + 52 * len(order), 110 + 60 * len(order)
    short = [text(shorten(name, 9)) for name in names]
    narrow = {"xaxis.ticktext": short, "yaxis.ticktext": short, "xaxis.tickangle": 0}
    return Chart("matrix", alt, [trace], drawn, height=height, min_width=width, narrow=narrow)


def runs_table(found: RunComparison) -> Table:
    """Return a table of the runs and their best settings."""
    columns = [Column("run"), Column("best setting"), Column("seeds", numeric=True)]
    columns += [
        Column(LABELS[found.measured], numeric=True, score=True),
        Column("diverged", numeric=True),
    ]
    columns += [Column("settings searched", numeric=True), Column("training per member", numeric=True)]
    columns += [Column("evaluations", numeric=True, hint="among which the best model was chosen")]
    columns += [Column("wall time", numeric=True), Column("status")]
    table = Table("runs-table", "All runs and their best settings", columns)
    order = found.ranked()
    for i in order + [i for i in range(len(found.names)) if i not in order]:
        reading, interval = found.readings[i], found.found(i)
        diverged = sum(m.get("diverged_at") is not None for m in reading.members)
        wall = (reading.results.get("timing") or {}).get("wall_s")
        seeds = len(reading.winner["members"]) if reading.winner else 0
        label = reading.label(reading.winner) if reading.winner else number_format.MISSING
        cells = [
            Cell(found.names[i], found.names[i], found.color(i)),
            Cell(label if reading.axes else "the only setting", label),
            Cell(number_format.whole(seeds), seeds),
            Cell(number_format.interval(interval), interval.value if interval else None),
            Cell(f"{number_format.whole(diverged)} of {number_format.whole(len(reading.members))}", diverged),
            *(Cell(shown, value) for shown, value in budgets.cells(reading)),
            Cell(number_format.duration(wall), wall),
            Cell(str(reading.results["status"]), str(reading.results["status"])),
        ]
        table.rows.append(Row(cells, chosen=bool(order) and i == order[0]))
    return table


def _names(readings: list[Reading]) -> list[str]:
    names = [reading.name for reading in readings]
    if len(set(names)) < len(names):
        names = [f"{name} ({r.path.name})" for name, r in zip(names, readings)]
    if len(set(names)) < len(names):
        names = [f"{name} #{i}" for i, name in enumerate(names, start=1)]
    return names
