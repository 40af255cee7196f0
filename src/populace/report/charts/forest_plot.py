"""Forest plots: one labeled row per setting or run, with its value and interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from populace.report import number_format
from populace.report.charts.chart import Chart, layout, numbers
from populace.report.charts.labels import height, shorten, text, wrapped
from populace.statistics import Interval

WIDTH, NARROW = 42, 19  # of row labels, in characters, on a wide screen and on a phone


@dataclass(frozen=True)
class ForestRow:
    """One row of a forest plot: a value with its interval; the label of the chosen one is bold."""

    label: str
    found: Interval
    color: str = "c0"
    full: str = ""
    chosen: bool = False


def forest_plot(
    id: str,
    rows: Sequence[ForestRow],
    *,
    x: str,
    alt: str,
    narrow_x: str = "",
    heading: str = "",
    caption: str = "",
) -> Chart:
    """Return a forest plot with the first row on top, below the heading."""
    places = list(range(len(rows)))
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": numbers([row.found.value for row in rows]),
        "y": places,
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": numbers([row.found.high - row.found.value for row in rows]),
            "arrayminus": numbers([row.found.value - row.found.low for row in rows]),
            "color": "muted",
            "thickness": 1.6,
            "width": 0,
        },
        "marker": {
            "color": [row.color for row in rows],
            "size": 10,
            "line": {"color": "panel", "width": 1.5},
        },
        "hovertext": [
            f"{text(row.full or row.label)}<br><b>{number_format.interval(row.found, named=True)}</b>"
            for row in rows
        ],
        "hoverinfo": "text",
    }
    names = [row.label for row in rows]
    bold = [row.chosen and len(rows) > 1 for row in rows]
    drawn = layout({"title": x}, rows_axis(places, names, bold))
    around = 64 + headed(drawn, heading)
    return Chart(
        id,
        alt,
        [trace],
        drawn,
        caption=caption,
        height=around + rows_height(names, WIDTH),
        narrow=narrow_rows(names, bold) | {"xaxis.title.text": text(narrow_x or x)},
        narrow_height=around + rows_height(names, NARROW),
    )


def headed(drawn: dict[str, Any], heading: str) -> int:
    """Add a heading above the row labels; return its height in pixels."""
    if not heading:
        return 0
    drawn["title"] = {
        "text": text(shorten(heading, 52)),
        "font": {"size": 12, "color": "muted"},
        **{"x": 0, "xref": "container", "xanchor": "left", "pad": {"l": 4, "t": 4}},
        **{"y": 1, "yref": "container", "yanchor": "top"},
    }
    drawn["margin"]["t"] += 18
    return 18


def narrow_rows(names: Sequence[str], bold: Sequence[bool] = ()) -> dict[str, Any]:
    """Return layout changes that fit row labels on a phone."""
    return {"yaxis.ticktext": _labels(names, NARROW, bold), "yaxis.tickfont.size": 11}


def rows_axis(places: Sequence[float], names: Sequence[str], bold: Sequence[bool] = ()) -> dict[str, Any]:
    """Return a vertical axis with one labeled row per place, from top to bottom."""
    return {
        "tickvals": list(places),
        "ticktext": _labels(names, WIDTH, bold),
        "range": [max(places, default=0) + 0.6, -0.6],
        "tickfont": {"color": "ink", "size": 12},
        "ticks": "",
    }


def rows_height(names: Sequence[str], width: int, *, least: int = 27) -> int:
    """Return the height of all rows in pixels, with labels wrapped at a width in characters."""
    return max(least, 11 + 16 * height(names, width)) * max(len(names), 2)


def _labels(names: Sequence[str], width: int, bold: Sequence[bool]) -> list[str]:
    found = wrapped(names, width)
    return [f"<b>{label}</b>" if i < len(bold) and bold[i] else label for i, label in enumerate(found)]
