"""The sweep as a chart: points for one axis, a heat map for two, parallel coordinates for more."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from populace.report import number_format
from populace.report.charts.chart import Chart, layout, numbers
from populace.report.charts.heatmap import heat_axes, heat_map
from populace.report.charts.labels import distinct, shorten, text, wrapped
from populace.report.runs import Reading

FEW = 8  # up to this many distinct values are evenly spaced on an axis, each with a label
LINES = 200
STRONGER = "The stronger the color, the better the score."


@dataclass(frozen=True)
class Scale:
    """An axis: the position of each value, from 0 to 1, and the labeled ticks."""

    places: list[float]
    ticks: list[tuple[float, str]]
    logarithmic: bool = False


def scale(values: Sequence[Any]) -> Scale:
    """Position the values of one axis: evenly spaced if few or not numbers, otherwise to scale.

    The values of a sweep are rarely linear (0.9, 0.99, 0.999): evenly spaced, they can all be labeled. A
    scale is logarithmic if all values are positive and span a factor of 20.
    """
    distinct: list[Any]
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    distinct = sorted(set(values)) if numeric else list(dict.fromkeys(map(number_format.setting, values)))
    if not numeric or len(distinct) <= FEW:
        keys = list(values) if numeric else [number_format.setting(v) for v in values]
        step = 1 / max(len(distinct) - 1, 1)
        at = {value: i * step if len(distinct) > 1 else 0.5 for i, value in enumerate(distinct)}
        return Scale([at[key] for key in keys], [(at[v], number_format.setting(v)) for v in distinct])
    logarithmic = distinct[0] > 0 and distinct[-1] >= 20 * distinct[0]
    change = math.log10 if logarithmic else float
    low, high = change(distinct[0]), change(distinct[-1])
    ticks = np.asarray(_decades(low, high) if logarithmic else np.linspace(low, high, 5))
    labels = [number_format.number(float(10**t if logarithmic else t), 3) for t in ticks]
    return Scale(
        [(change(v) - low) / (high - low) for v in values],
        [((float(t) - low) / (high - low), label) for t, label in zip(ticks, labels)],
        logarithmic,
    )


def _decades(low: float, high: float) -> list[float]:
    """Return the logarithms of 1, 3, 10, 30, ... in a range, or of powers of ten if it is wide."""
    exponents = range(math.floor(low), math.ceil(high) + 1)
    steps = (0.0, math.log10(3)) if high - low < 3 else (0.0,)
    return [e + s for e in exponents for s in steps if low - 1e-9 <= e + s <= high + 1e-9]


def sweep_chart(reading: Reading) -> Chart | None:
    """Plot the score against the swept settings; None without a sweep or without scores."""
    scored = [entry for entry in reading.ranked if reading.believed(entry)]
    paths = [path for path in reading.axes if len({repr(e["values"].get(path)) for e in scored}) > 1]
    if len(scored) < 2 or not paths:
        return None
    if len(paths) == 1 and not all(isinstance(v, int | float) for v in reading.axes[paths[0]]):
        return None  # no scale to draw the score over: the ranking has said it all
    if len(paths) == 1:
        return _one_axis(reading, scored, paths[0])
    columns = [scale([entry["values"].get(path) for entry in scored]) for path in paths]
    if len(paths) == 2 and all(len(set(column.places)) <= 2 * FEW for column in columns):
        return _heat_map(reading, scored, paths, columns)
    return _parallel(reading, scored, paths, columns)


def _one_axis(reading: Reading, scored: list[dict[str, Any]], path: str) -> Chart:
    column = scale([entry["values"].get(path) for entry in scored])
    order = np.argsort(column.places, kind="stable")
    found = [reading.believed(scored[i]) for i in order]
    known = [f for f in found if f is not None]
    trace = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [column.places[i] for i in order],
        "y": numbers([f.value for f in known]),
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": numbers([f.high - f.value for f in known]),
            "arrayminus": numbers([f.value - f.low for f in known]),
            "color": "muted",
            "thickness": 1.6,
            "width": 0,
        },
        "line": {"color": "faint", "width": 1.5},
        "marker": {"color": [reading.color(scored[i]) for i in order], "size": 10},
        "hovertext": [_hover(reading, scored[i]) for i in order],
        "hoverinfo": "text",
    }
    ticks = {
        "tickvals": [t for t, _ in column.ticks],
        "ticktext": [text(t) for _, t in column.ticks],
    }
    drawn = layout({"title": path, "range": [-0.06, 1.06], **ticks}, {"title": reading.score})
    bounds = f" with its {reading.bounds}" if reading.bounds else ""
    alt = f"{reading.statistic.capitalize()} {reading.score}{bounds} against {path}."
    return Chart("sweep", alt, [trace], drawn, height=340)


def _heat_map(
    reading: Reading, scored: list[dict[str, Any]], paths: list[str], columns: list[Scale]
) -> Chart:
    x, y = (sorted(set(column.places)) for column in columns)
    cells: list[list[list[int]]] = [[[] for _ in x] for _ in y]
    for i in range(len(scored)):
        cells[y.index(columns[1].places[i])][x.index(columns[0].places[i])].append(i)
    values = [[_mean(reading, [scored[i] for i in cell]) for cell in row] for row in cells]
    shown = iter(number_format.column([v for row in values for v in row], 3))
    labels = [["" if math.isnan(v) else text for v, text in zip(row, shown)] for row in values]
    hover = [["<br>".join(_hover(reading, scored[i]) for i in cell) for cell in row] for row in cells]
    names = [
        [_value(scored, path, column.places, place) for place in places]
        for path, column, places in zip(paths, columns, (x, y))
    ]
    known = [v for row in values for v in row if not math.isnan(v)]
    bounds = (min(known), max(known))
    trace, notes = heat_map(values, labels, hover, bounds=bounds, reverse=reading.lower)
    widest = min(14, max(map(len, names[0])))  # characters of a column's label
    drawn = heat_axes((paths[0], wrapped(names[0], 14)), (paths[1], wrapped(names[1], 24)), notes)
    drawn["xaxis"]["tickangle"] = 0
    return Chart(
        "sweep",
        f"Heat map: {reading.statistic} {reading.score} by {paths[0]} and {paths[1]}.",
        [trace],
        drawn,
        height=110 + 52 * max(len(y), 3),
        caption=STRONGER,
        min_width=90 + max(48, 8 * widest) * len(x),
        narrow={"yaxis.ticktext": wrapped(names[1], 10)},
    )


def _parallel(
    reading: Reading, scored: list[dict[str, Any]], paths: list[str], columns: list[Scale]
) -> Chart:
    # Plain lines, because Plotly's parallel coordinates need WebGL, which printing and many machines lack.
    found = [reading.believed(entry) for entry in scored]
    columns = [*columns, _linear([f.value for f in found if f is not None])]
    names = [reading.short_names[path] for path in paths] + [reading.score]
    shown = range(min(len(scored), LINES))
    traces = []
    for i in reversed(shown):
        best = scored[i] is reading.winner
        share = columns[-1].places[i]
        color = "c0" if best else f"seq:{0.15 + 0.75 * (1 - share if reading.lower else share):.3f}"
        # Settings that share a value would hide each other, so each is offset slightly by its rank.
        spread = 0.035 * (i / max(len(scored) - 1, 1) - 0.5)
        places = [c.places[i] + spread for c in columns[:-1]] + [columns[-1].places[i]]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": list(range(len(columns))),
                "y": numbers(places),
                "line": {"color": color, "width": 3.5 if best else 1.6, "shape": "linear"},
                "marker": {"color": color, "size": 7 if best else 4},
                "hovertext": _hover(reading, scored[i]),
                "hoverinfo": "text",
                "meta": {"fades": True},
            }
        )
    notes = []
    ticks = {"showarrow": False, "font": {"color": "ink", "size": 11}}
    ticks |= {"bgcolor": "paper/0.8", "borderpad": 1}
    for place, column in enumerate(columns):
        last = place == len(columns) - 1
        side = {"xanchor": "left", "xshift": 8} if last else {"xanchor": "right", "xshift": -8}
        labels = map(text, distinct([label for _, label in column.ticks], 16))
        for (at, _), label in zip(column.ticks, labels):
            notes.append(ticks | side | {"x": place, "y": at, "text": label})
    drawn = layout(
        {
            "tickvals": list(range(len(columns))),
            "ticktext": [f"<b>{text(shorten(name, 22))}</b>" for name in names],
            "range": [-0.42, len(columns) - 0.6],
            "side": "top",
            "gridcolor": "line",
            "tickfont": {"color": "ink"},
            "fixedrange": True,
        },
        {"visible": False, "range": [-0.06, 1.06], "fixedrange": True},
        annotations=notes,
    )
    drawn["margin"] = {"l": 12, "r": 12, "t": 34, "b": 8}
    more = f" The best {LINES} of {len(scored)} settings are shown." if len(scored) > LINES else ""
    logs = [name for name, column in zip(names, columns) if column.logarithmic]
    caption = f"One line per setting, the selected one's thick. {STRONGER}{more}"
    if logs:
        caption += f" Logarithmic axes: {', '.join(logs)}."
    return Chart(
        "sweep",
        f"Parallel coordinates: one line per setting, through {', '.join(names)}.",
        traces, drawn, height=360, caption=caption, min_width=100 * len(columns),
        from_end=True,  # where the score is
    )  # fmt: skip


def _linear(values: list[float]) -> Scale:
    low, high = min(values), max(values)
    if high == low:
        return scale(values)
    ticks = np.linspace(low, high, 5)
    return Scale(
        [(v - low) / (high - low) for v in values],
        [(i / 4, number_format.number(float(t), 3)) for i, t in enumerate(ticks)],
    )


def _mean(reading: Reading, entries: list[dict[str, Any]]) -> float:
    found = [f.value for f in map(reading.believed, entries) if f is not None]
    return sum(found) / len(found) if found else math.nan


def _value(scored: list[dict[str, Any]], path: str, places: list[float], place: float) -> str:
    return number_format.setting(scored[places.index(place)]["values"].get(path))


def _hover(reading: Reading, entry: dict[str, Any]) -> str:
    found = number_format.interval(reading.believed(entry), named=True)
    return f"{text(reading.label(entry))}<br><b>{found}</b>"
