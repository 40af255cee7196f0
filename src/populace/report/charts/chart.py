"""A chart as data: Plotly traces with named colors, which the page resolves by its theme."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from populace.report import number_format
from populace.report.charts.curves import Curve
from populace.report.charts.labels import text
from populace.statistics import Floats, Interval

Trace = dict[str, Any]
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


@dataclass
class Chart:
    """One chart: Plotly's traces and layout, and the text around it.

    `alt` is the text for screen readers. `legend` holds `{label, color, traces}` entries, each a button that
    shows and hides its traces, below what they are labeled by (`legend_heading`). `narrow` holds layout
    changes for phones, `narrow_height` the height there, `min_width` the width in pixels below which the
    chart scrolls instead of shrinking, from its right end with `from_end`.
    """

    id: str
    alt: str
    traces: list[Trace]
    layout: dict[str, Any]
    title: str = ""
    caption: str = ""
    height: int = 380
    min_width: int = 0
    legend: list[dict[str, Any]] = field(default_factory=list)
    legend_heading: str = ""
    narrow: dict[str, Any] = field(default_factory=dict)
    narrow_height: int = 0
    from_end: bool = False

    def spec(self) -> dict[str, Any]:
        """Return the data for the page's script."""
        return {
            "traces": self.traces,
            "layout": self.layout,
            "height": self.height,
            "legend": self.legend if len(self.legend) > 1 else [],
            "legend_heading": self.legend_heading,
            "narrow": self.narrow,
            "from_end": self.from_end,
            "narrow_height": self.narrow_height or self.height,
        }


def dash_of(color: str) -> str:
    """Return the dash pattern of a color, so that lines differ without color too."""
    return DASHES[int(color[1:]) % len(DASHES)] if color[1:].isdigit() else "solid"


def layout(x: dict[str, Any], y: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the layout that all charts share, with the given axes."""
    axis = {
        "gridcolor": "grid",
        "linecolor": "line",
        "zerolinecolor": "grid",
        "zeroline": False,
        "automargin": True,
        "tickfont": {"color": "muted"},
        "exponentformat": "power",
        "minexponent": 5,
    }
    return {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": "ink"},
        "margin": {"l": 48, "r": 14, "t": 12, "b": 40},
        "showlegend": False,
        "separators": ".\u202f",  # as in the text
        "hovermode": "closest",
        "hoverlabel": {
            "bgcolor": "panel",
            "bordercolor": "line",
            "font": {"color": "ink"},
            "align": "left",
            "namelength": -1,
        },
        "xaxis": _titled(axis | x),
        "yaxis": _titled(axis | y),
        **more,
    }


def _titled(axis: dict[str, Any]) -> dict[str, Any]:
    title = axis.pop("title", "")
    if title:
        axis["title"] = {"text": text(title), "font": {"color": "muted"}, "standoff": 10}
    return axis


def band(x: Floats, low: Floats, high: Floats, color: str, *, shown: bool) -> Trace:
    """Return the trace of a band; one that is not shown appears while its line is under the pointer."""
    fill = f"{color}/0.16"
    return {
        "type": "scatter",
        "mode": "lines",
        "x": numbers(np.concatenate([x, x[::-1]])),
        "y": numbers(np.concatenate([high, low[::-1]])),
        "fill": "toself",
        "fillcolor": fill if shown else f"{color}/0",
        "line": {"width": 0, "color": f"{color}/0"},
        "hoverinfo": "skip",
        "meta": {} if shown else {"fill": fill},
    }


def curve_traces(
    curve: Curve, name: str, color: str, *, dash: str = "solid", unit: str = "", shown: bool = True
) -> list[Trace]:
    """Return the traces of a curve: the band of its interval, `shown` or not, and the line."""
    hover = [
        f"{text(name)}<br>{text(number_format.whole(u))} {text(unit)}<br><b>{_interval(v, low, high)}</b>"
        for u, v, low, high in zip(curve.units, curve.value, curve.low, curve.high)
    ]
    there = np.isfinite(curve.low)
    line = {
        "type": "scatter",
        "mode": "lines" if there.sum() > 1 else "markers",
        "x": numbers(curve.units),
        "y": numbers(curve.value),
        "line": {"color": color, "width": 2.2, "dash": dash},
        "marker": {"color": color, "size": 8},
        "hovertext": hover,
        "hoverinfo": "text",
    }
    return [band(curve.units[there], curve.low[there], curve.high[there], color, shown=shown), line]


def value_range(traces: Iterable[Trace], *more: float | None) -> list[float] | None:
    """Return the range of a vertical axis around all that is shown, and more values; None without any.

    Plotly would make room for the bands that are not shown, too.
    """
    shown = [trace["y"] for trace in traces if "fill" not in trace.get("meta", {})]
    values = [v for ys in [*shown, more] for v in ys if v is not None]
    if not values or min(values) == max(values):
        return None
    margin = 0.05 * (max(values) - min(values))
    return [min(values) - margin, max(values) + margin]


def decades_axis(values: ArrayLike) -> dict[str, Any] | None:
    """Return a logarithmic axis for values above 0 that span over two decades, but for a few; else None."""
    given = np.asarray(values, float)  # None is NaN
    finite = given[np.isfinite(given)]
    if not len(finite) or (least := finite.min()) <= 0:
        return None
    decades = math.log10(finite.max() / least)
    few, most = np.percentile(finite, [1, 99], overwrite_input=True)
    if most <= 100 * few:
        return None
    return {"type": "log", "dtick": max(1, math.ceil(decades / 4))}


def bundle(lines: Iterable[tuple[Floats, Floats]], color: str) -> Trace:
    """Return many thin lines as one trace with gaps, because hundreds of traces would be slow."""
    x: list[float | None] = []
    y: list[float | None] = []
    for xs, ys in lines:
        x += [*numbers(xs), None]
        y += [*numbers(ys), None]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y,
        "line": {"color": color, "width": 1},
        "hoverinfo": "skip",
        "connectgaps": False,
    }


def mark(value: float, label: str, *, axis: str = "y", log: bool = False) -> dict[str, Any]:
    """Return the layout of a labeled dotted line across the chart; `log` where the axis is logarithmic."""
    other = "x" if axis == "y" else "y"
    ends = {f"{other}ref": "paper", f"{axis}ref": axis, f"{other}0": 0, f"{other}1": 1}
    ends |= {f"{axis}0": value, f"{axis}1": value}
    # Where a line is Plotly wants the value, where a text is its logarithm.
    at = math.log10(value) if log else value
    place = {f"{other}ref": "paper", other: 1, f"{axis}ref": axis, axis: at}
    if axis == "y":
        place[other] = 0
    anchor = {"xanchor": "left", "yanchor": "bottom"} if axis == "y" else {"yanchor": "bottom"}
    note = {"text": text(label), "showarrow": False, "font": {"color": "muted", "size": 11}}
    return {
        "shapes": [
            {
                "type": "line",
                **ends,
                "layer": "below",
                "line": {"color": "muted", "width": 1, "dash": "dot"},
            }
        ],
        "annotations": [note | place | anchor],
    }


# Axis format of counts: 20k instead of a power of ten.
COUNTS = {"exponentformat": "SI", "minexponent": 3, "rangemode": "tozero"}


def numbers(values: Iterable[float]) -> list[float | None]:
    """Return numbers for JSON: six significant digits, None for NaN and infinity."""
    return [float(f"{v:.6g}") if v is not None and math.isfinite(v) else None for v in values]


def _interval(value: float, low: float, high: float) -> str:
    return number_format.interval(Interval(float(value), float(low), float(high)))
