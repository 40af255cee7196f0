"""The final evaluation: ranking of settings, validation against test, profiles, improvement."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from populace.report import number_format
from populace.report.charts.chart import Chart, band, dash_of, layout, mark, numbers
from populace.report.charts.forest_plot import (
    NARROW,
    WIDTH,
    ForestRow,
    forest_plot,
    headed,
    narrow_rows,
    rows_axis,
    rows_height,
)
from populace.report.charts.labels import text
from populace.report.entries import interval_of
from populace.report.runs import Reading
from populace.statistics import Floats, Interval, performance_profile, probability_of_improvement

ROWS = 20
DOTS = 500


def leaderboard(reading: Reading) -> Chart | None:
    """Plot the best settings with their intervals."""
    scored = [entry for entry in reading.ranked if reading.believed(entry)][:ROWS]
    rows = []
    for entry in scored:
        found = reading.believed(entry)
        if found is not None:
            rows.append(_dot(reading, entry, found))
    if not rows:
        return None
    more = len(reading.settings) - len(rows)
    return forest_plot(
        "leaderboard",
        rows,
        x=f"{reading.statistic} {reading.score}",
        narrow_x=reading.score,
        heading=reading.axes_line,
        alt=f"Settings ranked by {reading.score}; the first is {rows[0].full}.",
        caption=f"The best {len(rows)} settings; the table lists the other {number_format.whole(more)}."
        if more
        else "",
    )


def seeds_chart(reading: Reading) -> Chart | None:
    """Plot the score of each seed of a single setting; None if all are equal."""
    (entry,) = reading.settings
    scores, found = np.sort(reading.scores(entry)), reading.believed(entry)
    if found is None or len(scores) < 2 or scores[0] == scores[-1]:
        return None
    if len(scores) > DOTS:  # evenly spaced quantiles say the same
        scores = scores[np.linspace(0, len(scores) - 1, DOTS).round().astype(int)]
    heights = 0.75 - 0.5 * np.random.default_rng(0).random(len(scores))
    dots = {
        "type": "scatter", "mode": "markers", "x": numbers(scores), "y": numbers(heights),
        "marker": {"color": "c0/0.45", "size": 7},
        "hovertext": [number_format.number(s) for s in scores], "hoverinfo": "text",
    }  # fmt: skip
    whole = {
        "type": "scatter", "mode": "markers", "x": [found.value], "y": [1.25],
        "error_x": {
            "type": "data", "symmetric": False, "array": numbers([found.high - found.value]),
            "arrayminus": numbers([found.value - found.low]), "color": "ink", "thickness": 2, "width": 0,
        },
        "marker": {"color": "ink", "size": 11, "symbol": "diamond"},
        "hovertext": [f"{reading.statistic}<br><b>{number_format.interval(found, named=True)}</b>"],
        "hoverinfo": "text",
    }  # fmt: skip
    drawn = layout({"title": reading.score}, {"visible": False, "range": [0, 1.6], "fixedrange": True})
    if reading.score_threshold is not None and scores[0] <= reading.score_threshold <= scores[-1]:
        drawn |= mark(reading.score_threshold, "solved", axis="x")
        drawn["margin"]["t"] = 26
    drawn["margin"]["l"] = 14
    alt = f"The {reading.score} of each seed, and their {reading.statistic} {number_format.interval(found)}."
    return Chart("seeds", alt, [dots, whole], drawn, height=190)


def validation_and_test(reading: Reading) -> Chart | None:
    """Plot validation, test and external scores of the leading settings side by side."""
    kinds = {
        "validation": ("validation", "circle-open", "muted", -0.2),
        "test": ("test", "circle", "c0", 0.0),
        "external": ("external", "diamond", "c1", 0.2),
    }
    entries = reading.shown
    traces, legend = [], []
    for kind, (name, symbol, color, shift) in kinds.items():
        found = [(place, interval_of(entry.get(kind))) for place, entry in enumerate(entries)]
        known = [(place, f) for place, f in found if f is not None]
        if not known:
            continue
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": numbers([f.value for _, f in known]),
                "y": [place + shift for place, _ in known],
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": numbers([f.high - f.value for _, f in known]),
                    "arrayminus": numbers([f.value - f.low for _, f in known]),
                    "color": f"{color}/0.6",
                    "thickness": 1.6,
                    "width": 0,
                },
                "marker": {
                    "color": color,
                    "symbol": symbol,
                    "size": 9,
                    "line": {"color": color, "width": 2},
                },
                "hovertext": [
                    f"{text(reading.label(entries[p]))}<br>{name} "
                    f"<b>{number_format.interval(f, named=True)}</b>"
                    for p, f in known
                ],
                "hoverinfo": "text",
            }
        )
        legend.append({"label": name, "color": color, "symbol": symbol, "traces": [len(traces) - 1]})
    if len(traces) < 2:
        return None
    names = [reading.compact(entry) for entry in entries]
    bold = [entry is reading.winner and len(entries) > 1 for entry in entries]
    score = {"title": f"{reading.statistic} {reading.score}"}
    drawn = layout(score, rows_axis(list(range(len(entries))), names, bold))
    around = 80 + headed(drawn, reading.axes_line)
    return Chart(
        "chosen",
        f"Validation and test {reading.score} of the leading settings.",
        traces,
        drawn,
        height=around + rows_height(names, WIDTH, least=42),
        legend=legend,
        narrow=narrow_rows(names, bold) | {"xaxis.title.text": text(reading.score)},
        narrow_height=around + rows_height(names, NARROW, least=42),
    )


def _dot(reading: Reading, entry: dict[str, Any], found: Interval) -> ForestRow:
    chosen = entry is reading.winner
    return ForestRow(reading.compact(entry), found, reading.color(entry), reading.label(entry), chosen)


def profile(reading: Reading) -> Chart | None:
    """Plot the performance profiles of the leading settings."""
    named = [(reading.compact(e), reading.scores(e), reading.color(e)) for e in reading.shown[:4]]
    found = profile_chart(named, score=reading.score, lower=reading.lower, solved=reading.score_threshold)
    if found:
        found.legend_heading = reading.axes_line
    return found


def profile_chart(
    named: Sequence[tuple[str, Sequence[float], str]],
    *,
    score: str,
    lower: bool,
    solved: float | None = None,
) -> Chart | None:
    """Plot performance profiles of `(name, scores, color)`; None if all scores are equal."""
    named = [row for row in named if row[1]]
    every = [s for _, scores, _ in named for s in scores]
    if not every or min(every) == max(every):
        return None
    margin = 0.02 * (max(every) - min(every))
    ends = min(every) - margin, max(every) + margin
    # A profile changes only at the scores themselves, so it is exact at these levels.
    levels = np.unique([*ends, *every]) if len(every) <= 240 else np.linspace(*ends, 240)
    sign, side = (-1.0, "below") if lower else (1.0, "above")
    traces, legend = [], []
    for name, scores, color in reversed(named):
        share, low, high = performance_profile(sign * np.asarray(scores), sign * levels)
        stairs, top = _stairs(levels, high, lower)
        bottom = _stairs(levels, low, lower)[1]
        around = band(stairs, bottom, top, color, shown=name == named[0][0] or len(named) == 2)
        dash = dash_of(color)
        line = {
            "type": "scatter", "mode": "lines", "x": numbers(levels), "y": numbers(share),
            "line": {"color": color, "width": 2.2, "dash": dash, "shape": "vh" if lower else "hv"},
            "hovertext": [
                f"{text(name)}<br>{100 * s:.0f} % {side} {number_format.number(t)}"
                for s, t in zip(share, levels)
            ],
            "hoverinfo": "text",
        }  # fmt: skip
        places = [len(traces), len(traces) + 1] if len(scores) > 1 else [len(traces)]
        legend.insert(0, {"label": name, "color": color, "dash": dash, "traces": places})
        traces += [around, line] if len(scores) > 1 else [line]
    drawn = layout(
        {"title": score},
        {"title": f"members {side} this {score}", "range": [-0.03, 1.05], "tickformat": ".0%"},
    )
    if solved is not None and levels[0] <= solved <= levels[-1]:
        drawn |= mark(solved, "solved", axis="x")
        drawn["margin"]["t"] = 26
    alt = f"Performance profiles: the fraction of members whose {score} is {side} each value."
    return Chart("profile", alt, traces, drawn, height=360, legend=legend)


def _stairs(x: Floats, y: Floats, lower: bool) -> tuple[Floats, Floats]:
    """Return the corners of a step function: Plotly's own step lines cannot fill a band."""
    corners = np.repeat(x, 2)[1:-1]
    return corners, np.repeat(y[1:] if lower else y[:-1], 2)


def improvement(x: Sequence[float], y: Sequence[float], *, lower: bool) -> Interval:
    """Return the probability that a member of X scores better than a member of Y."""
    sign = -1.0 if lower else 1.0
    return probability_of_improvement(sign * np.asarray(x), sign * np.asarray(y))


def improvement_chart(reading: Reading) -> Chart | None:
    """Plot the probability that the winner improves on each other setting."""
    if reading.comparison is None:
        return None
    comparisons = reading.comparison.comparisons
    found = [(e, comparisons[e["setting"]]) for e in reading.ranked if e["setting"] in comparisons]
    rows = [_dot(reading, entry, comparison.probability_of_improvement) for entry, comparison in found[:ROWS]]
    more = f" The first {ROWS} are shown." if len(found) > ROWS else ""
    chart = forest_plot(
        "improvement",
        rows,
        x="probability of improvement",
        heading=reading.axes_line,
        alt="Probability that a member of the best setting scores better than one of each other setting.",
        caption=f"50 % is chance level.{more}",
    )
    chart.layout["xaxis"] |= {"range": [-0.03, 1.03], "tickformat": ".0%"}
    chart.layout |= mark(0.5, "chance", axis="x")
    # The label of the line needs as much height as the heading on the other side.
    chart.layout["margin"]["t"] = 30
    return chart
