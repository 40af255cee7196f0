"""Heat maps whose numbers are readable on every cell, in light and dark mode."""

from collections.abc import Sequence
from typing import Any

from populace.report.charts.chart import layout, numbers
from populace.report.charts.labels import text

Row = Sequence[float]


def heat_map(
    z: Sequence[Row],
    labels: Sequence[Sequence[str]],
    hover: Sequence[Sequence[str]],
    *,
    bounds: tuple[float, float],
    reverse: bool = False,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the trace and its labels as annotations; NaN gives an empty cell.

    Color goes from the worse to the better end of `bounds`; `reverse` if lower is better. Plotly's own labels
    choose black or white regardless of the page's theme, so labels are annotations instead.
    """
    low, high = bounds
    stops = [t / 8 for t in range(9)]
    trace = {
        "type": "heatmap",
        "x": list(range(len(z[0]))),
        "y": list(range(len(z))),
        "z": [numbers(row) for row in z],
        "zmin": low,
        "zmax": high if high > low else low + 1,
        "hovertext": hover,
        "hoverinfo": "text",
        "hoverongaps": False,
        "colorscale": [[t, f"seq:{1 - t if reverse else t}"] for t in stops],
        "xgap": 2,
        "ygap": 2,
        "showscale": False,
    }
    notes = []
    for y, row in enumerate(z):
        for x, value in enumerate(row):
            share = (value - low) / ((high - low) or 1)
            color = "panel" if (1 - share if reverse else share) > 0.56 else "ink"
            note = {"x": x, "y": y, "text": text(labels[y][x]), "showarrow": False}
            notes.append(note | {"font": {"color": color, "size": 13}})
    return trace, notes


def heat_axes(
    x: tuple[str, Sequence[str]], y: tuple[str, Sequence[str]], notes: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return the layout of a heat map from the titles and the tick labels of both axes, as Plotly's text."""
    drawn = layout(_axis(*x), _axis(*y), annotations=notes)
    for axis in ("xaxis", "yaxis"):
        drawn[axis] |= {"ticks": "", "linecolor": "panel/0"}
    return drawn


def _axis(title: str, names: Sequence[str]) -> dict[str, Any]:
    ticks = {"tickvals": list(range(len(names))), "ticktext": list(names)}
    return {"title": title, "showgrid": False, "type": "linear"} | ticks
