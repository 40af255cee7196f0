"""The course of training: learning curves of the settings, and other metrics of the best one."""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from populace.report import number_format
from populace.report.charts.chart import (
    COUNTS,
    Chart,
    bundle,
    curve_traces,
    dash_of,
    decades_axis,
    layout,
    mark,
    numbers,
    value_range,
)
from populace.report.charts.curves import Grid, grid, metrics_of, score_grid, setting_curve
from populace.report.charts.labels import text
from populace.report.runs import Reading

T = TypeVar("T")
SEEDS = 40  # more thin lines than this are indistinguishable
OTHERS = 100  # likewise of settings


def learning_curves(reading: Reading) -> Chart | None:
    """Plot the score of each setting over training; None if no score was recorded."""
    found = score_grid(reading)
    if found is None:
        return None
    traces, legend = [], []
    others = [e for e in reading.ranked if not any(e is shown for shown in reading.shown)]
    if others:
        drawn_of = evenly(others, OTHERS)
        curves = [setting_curve(found, entry, band=False) for entry in drawn_of]
        traces.append(bundle(((c.units, c.value) for c in curves), "faint"))
        label = number_format.count(len(others), "other setting")
        if len(drawn_of) < len(others):
            label = f"{len(drawn_of)} of the {label}, from the best to the worst"
        legend.append({"label": label, "color": "faint", "traces": [0]})
    # The winner is drawn last, on top of all others.
    for entry in reversed(reading.shown):
        color, dash = reading.color(entry), dash_of(reading.color(entry))
        shown = entry is reading.shown[0] or len(reading.shown) == 2
        curve = setting_curve(found, entry)
        drawn = curve_traces(curve, reading.label(entry), color, dash=dash, unit=reading.unit, shown=shown)
        places = [len(traces), len(traces) + 1]
        name = reading.compact(entry)
        legend.insert(0, {"label": name, "color": color, "dash": dash, "traces": places})
        traces += drawn
    threshold = reading.score_threshold
    drawn = [v for trace in traces if "fill" not in trace.get("meta", {}) for v in trace["y"]]
    # Of errors the last digits count: on a linear axis all of the way but its beginning would be one line.
    spans = decades_axis(np.array([*drawn, threshold], float)) if reading.lower else None
    score = {"title": reading.score, **(spans or {"range": value_range(traces, threshold)})}
    axes = layout({"title": reading.unit, **COUNTS}, score)
    if threshold is not None:
        axes |= mark(threshold, f"solved at {number_format.number(threshold)}", log=spans is not None)
    return Chart(
        "curves",
        f"Learning curves: interquartile mean {reading.score} over {reading.unit}, "
        "one line per setting"
        + (f" with its {reading.bounds} as a band" if reading.bounds else "")
        + (", on a logarithmic scale." if spans else "."),
        traces,
        axes,
        height=420,
        legend=legend,
        legend_heading=reading.axes_line,
    )


def evenly(items: Sequence[T], count: int) -> list[T]:
    """Return at most so many items, evenly spaced and with the first and the last one."""
    if len(items) <= count:
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, count).round().astype(int)]


def diagnostics(reading: Reading) -> list[Chart]:
    """Plot each training metric of the members of the best setting."""
    entry = reading.winner or (reading.ranked[0] if reading.ranked else None)
    if entry is None:
        return []
    members, joint = entry["members"], reading.results.get("together") or []
    found = [_joint(reading, f"together-{i}", names, members) for i, names in enumerate(joint)]
    apart = (m for m in metrics_of(reading.train) if not any(m in names for names in joint))
    found += [_diagnostic(reading, metric, members) for metric in apart]
    return [chart for chart in found if chart is not None]


def _joint(reading: Reading, id: str, names: Sequence[str], members: list[int]) -> Chart | None:
    """Plot several training metrics on one axis, each with its seeds and their median."""
    traces, legend = [], []
    for i, metric in enumerate(names):
        found = grid(reading.train, metric)
        if found is None or not np.isfinite(found.rows(members)).any():
            continue
        found = found.thinned(200)
        rows, color, name = found.rows(members), f"c{i}", metric.replace("_", " ")
        places = [len(traces)]
        if len(rows) > 1:
            traces.append(bundle(((found.units, row) for row in rows[:SEEDS]), f"{color}/0.25"))
            places.append(len(traces))
        traces.append(_median(reading, name, found, rows, color))
        legend.append({"label": name, "color": color, "dash": dash_of(color), "traces": places})
    if not legend:
        return None
    title = " and ".join(entry["label"] for entry in legend)
    drawn = layout({"nticks": 4, **COUNTS}, {"nticks": 5})
    drawn["margin"] = {"l": 44, "r": 10, "t": 8, "b": 28}
    alt = f"{title} over {reading.unit} on one axis, one thin line per seed and the median of each."
    return Chart(id, alt, traces, drawn, title=title, height=250, legend=legend)


def _median(reading: Reading, name: str, found: Grid, rows: np.ndarray, color: str = "c0") -> dict[str, Any]:
    """Return the line of the median over members."""
    several = np.isfinite(rows).any(axis=0)
    middle = np.full(rows.shape[1], np.nan)
    for point in np.flatnonzero(several):  # one at a time: a copy of all would be as large as the table
        middle[point] = np.nanmedian(rows[:, point])
    return {
        "type": "scatter",
        "mode": "lines" if several.sum() > 1 else "markers",
        "x": numbers(found.units),
        "y": numbers(middle),
        "line": {"color": color, "width": 2, "dash": dash_of(color)},
        "marker": {"color": color},
        "hovertext": [
            f"{text(name)} {number_format.number(v)}<br>{number_format.whole(u)} {text(reading.unit)}"
            for u, v in zip(found.units, middle)
        ],
        "hoverinfo": "text",
    }


def _diagnostic(reading: Reading, metric: str, members: list[int]) -> Chart | None:
    found = grid(reading.train, metric)
    if found is None or not np.isfinite(found.rows(members)).any():
        return None
    found = found.thinned(200)
    rows = found.rows(members)
    name = metric.replace("_", " ")
    traces = []
    if len(rows) > 1:
        traces.append(bundle(((found.units, row) for row in rows[:SEEDS]), "muted/0.4"))
    sample = f"{SEEDS} of the {number_format.whole(len(rows))} seeds" if len(rows) > SEEDS else ""
    traces.append(_median(reading, name, found, rows))
    spans = decades_axis(rows)
    drawn = layout({"nticks": 4, **COUNTS}, spans or {"nticks": 5})
    drawn["margin"] = {"l": 44, "r": 10, "t": 8, "b": 28}
    scale = ", on a logarithmic scale" if spans else ""
    return Chart(
        f"metric-{metrics_of(reading.train).index(metric)}",
        f"{name} over {reading.unit}, one thin line {f'each for {sample}' if sample else 'per seed'} and the "
        f"median{' of all' if sample else ''}{scale}.",
        traces,
        drawn,
        title=name,
        caption="; ".join(filter(None, [sample, "logarithmic scale" if spans else ""])),
        height=190,
    )
