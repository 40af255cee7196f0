"""The page that compares several runs: a panel per task and measure, and what else differs."""

import itertools
import math
from dataclasses import replace
from typing import Any

from populace.report import number_format
from populace.report.charts.chart import COUNTS, Chart, curve_traces, dash_of, layout, value_range
from populace.report.charts.curves import score_grid, setting_curve
from populace.report.charts.forest_plot import ForestRow, forest_plot
from populace.report.charts.heatmap import heat_axes, heat_map
from populace.report.charts.labels import text, wrapped
from populace.report.run_comparison import RunComparison, comparisons, run_names
from populace.report.runs import Reading
from populace.report.sections.evaluation import improvement, profile_chart
from populace.report.text.comparison.compare_runs import answer, runs_table, sentence, sources
from populace.report.text.comparison.differences import differences, environment, recipe


def several(readings: list[Reading]) -> dict[str, Any]:
    """Return the content of the comparison page."""
    names = run_names(readings)
    panels = [_panel(found, i) for i, found in enumerate(comparisons(readings, names))]
    charts = {chart.id: chart for panel in panels for chart in panel["charts"].values() if chart}
    recipes = dict.fromkeys(reading.name for reading in readings)
    return {
        "title": f"{len(readings)} runs compared",
        "about": " · ".join(recipes),
        "answer": answer([panel["found"] for panel in panels]),
        "panels": panels,
        "charts": charts,
        "environments": differences("environment-table", names, map(environment, readings)),
        "recipes": differences("recipe-table", names, map(recipe, readings)),
        "stopped": [n for n, r in zip(names, readings) if r.results["status"] == "stopped"],
        "version": readings[0].results.get("populace") or "",
        "started": "",
    }


def _panel(found: RunComparison, number: int) -> dict[str, Any]:
    """Return the content of one panel: runs of one task and one measure."""
    charts = {
        "curves": curves(found),
        "leaderboard": leaderboard(found),
        "profile": profiles(found),
        "matrix": matrix(found),
    }
    suffix = f"-{number}" if number else ""
    table = runs_table(found)
    table.id += suffix
    return {
        "found": found,
        "title": found.title,
        "sentence": sentence(found),
        "better": "lower" if found.lower else "higher",
        "sources": sources(found),
        "charts": {name: chart and replace(chart, id=chart.id + suffix) for name, chart in charts.items()},
        "table": table,
    }


def curves(found: RunComparison) -> Chart | None:
    """Overlay the learning curves of the runs' selected settings."""
    traces, legend = [], []
    known = {
        i: setting_curve(grid, reading.winner)
        for i, reading in enumerate(found.readings)
        if reading.winner is not None and (grid := score_grid(reading)) is not None
    }
    first = next((i for i in found.ranked if i in known), None)
    for index in [i for i in found.ranked if i in known] + [i for i in known if i not in found.ranked]:
        curve = known[index]
        reading, name, color = found.readings[index], found.names[index], found.color(index)
        dash, shown = dash_of(color), index == first or len(known) == 2
        label = {"label": name, "color": color, "dash": dash, "traces": [len(traces), len(traces) + 1]}
        legend.append(label)
        traces += curve_traces(curve, name, color, dash=dash, unit=reading.unit, shown=shown)
    if not traces:
        return None
    units = " / ".join(dict.fromkeys(reading.unit for reading in found.readings))
    axes = layout({"title": units, **COUNTS}, {"title": found.score, "range": value_range(traces)})
    alt = f"Learning curves of the selected settings: interquartile mean {found.score} over {units}."
    return Chart("curves", alt, traces, axes, height=420, legend=legend)


def leaderboard(found: RunComparison) -> Chart | None:
    """Plot the selected setting of each run with its interval; None for a single run."""
    scored = [(i, interval) for i in found.ranked if (interval := found.found(i)) is not None]
    if len(scored) < 2:
        return None
    best = found.tied
    rows = [ForestRow(found.names[i], value, found.color(i), chosen=i in best) for i, value in scored]
    return forest_plot(
        "leaderboard",
        rows,
        x=f"{found.statistic} {found.score}",
        narrow_x=found.score,
        alt=f"Runs ranked by {found.score}; the first is {rows[0].label}.",
    )


def profiles(found: RunComparison) -> Chart | None:
    """Plot the performance profiles of the runs' selected settings; None for a single run."""
    named = [(found.names[i], found.members(i), found.color(i)) for i in found.ranked[:6]]
    return profile_chart(named, score=found.score, lower=found.lower) if len(named) > 1 else None


def matrix(found: RunComparison) -> Chart | None:
    """Plot the probability that the run in each row improves on that in each column; None for two runs."""
    order = [i for i in found.ranked if found.members(i)]
    if len(order) < 3:  # of two the sentence says it
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
    names = [found.names[i] for i in order]
    trace, notes = heat_map(z, labels, hover, bounds=(0.0, 1.0))
    columns, rows = wrapped(names, 12, lines=5), wrapped(names, 24)
    drawn = heat_axes(("improves on", columns), ("", rows), notes)
    drawn["yaxis"]["range"] = [len(order) - 0.5, -0.5]
    drawn["xaxis"]["tickangle"] = 0
    alt = "Matrix: probability that the run in the row scores better than the run in the column."
    height, width = 170 + 52 * len(order), 110 + 84 * len(order)
    narrow = {"yaxis.ticktext": wrapped(names, 12, lines=4)}
    return Chart("matrix", alt, [trace], drawn, height=height, min_width=width, narrow=narrow)
