"""Fans: the end of a series' history, what the last backtest window forecast, and what comes."""

from typing import Any

from populace.report import number_format
from populace.report.charts.chart import Chart, Trace, layout
from populace.report.charts.labels import shorten, text

_TESTED, _AHEAD = "c1", "c0"


def fan_charts(found: dict[str, Any]) -> list[Chart]:
    """Return a chart for each series that is drawn; a single series gets the whole width."""
    several = len(found["fans"]) > 1
    return [_fan(entry, i, found, several=several) for i, entry in enumerate(found["fans"])]


def _fan(entry: dict[str, Any], number: int, found: dict[str, Any], *, several: bool) -> Chart:
    history = entry["history"]
    traces = [
        *_forecast(entry["backtest"], _TESTED, "dash", "forecast in the last window"),
        *_forecast(entry["future"], _AHEAD, "solid", "forecast"),
        {
            "type": "scatter",
            "mode": "lines" if len(history["x"]) > 1 else "markers",
            "x": history["x"],
            "y": history["y"],
            "line": {"color": "ink", "width": 1.3},
            "marker": {"color": "ink", "size": 5},
            "connectgaps": False,
            "hovertext": [
                f"{text(x)}<br>observed <b>{number_format.number(y)}</b>"
                for x, y in zip(history["x"], history["y"])
            ],
            "hoverinfo": "text",
        },
    ]
    x = {"nticks": 4 if several else 8, "type": "-" if isinstance(history["x"][0], str) else "linear"}
    drawn = layout(x, {"nticks": 5, "exponentformat": "SI", "minexponent": 4})
    if several:
        drawn["margin"] = {"l": 44, "r": 10, "t": 8, "b": 28}
    said = [entry["why"]] if entry["why"] in ("worst", "best") else []
    if entry["mase"] is not None:
        said.append(f"MASE {number_format.number(entry['mase'], 3)} over the backtest")
    name = entry["id"] if several else ""
    return Chart(
        f"fan-{number}",
        f"Series {entry['id']}: observations, and quantile bands of the forecast by {found['chosen']} in the "
        "last backtest window and behind the end.",
        traces,
        drawn,
        title=shorten(name, 60),
        caption=", ".join(said),
        height=210 if several else 400,
        narrow={"xaxis.nticks": 4},
        narrow_height=210 if several else 300,
    )


def _forecast(part: dict[str, Any], color: str, dash: str, name: str) -> list[Trace]:
    """Return the bands, the widest first, and the line of one forecast."""
    traces: list[Trace] = [_band(part["x"], entry["low"], entry["high"], color) for entry in part["bands"]]
    hover = []
    for i, (x, value) in enumerate(zip(part["x"], part["line"])):
        lines = [f"{text(x)}", f"{name}, {part['line is']} <b>{number_format.number(value)}</b>"]
        for entry in part["bands"]:
            bounds = [number_format.number(entry[end][i]) for end in ("low", "high")]
            lines.append(f"{100 * entry['level']:g} %: {bounds[0]} to {bounds[1]}")
        hover.append("<br>".join(lines))
    line = {
        "type": "scatter",
        "mode": "lines" if len(part["x"]) > 1 else "markers",
        "x": part["x"],
        "y": part["line"],
        "line": {"color": color, "width": 1.8, "dash": dash},
        "marker": {"color": color, "size": 7},
        "hovertext": hover,
        "hoverinfo": "text",
    }
    return [*traces, line]


def _band(x: list[Any], low: list[Any], high: list[Any], color: str) -> Trace:
    """Return the trace of a band over stamps, which may be text."""
    if len(x) == 1:  # a band of no width would not be seen
        return {
            "type": "scatter",
            "mode": "lines",
            "x": [x[0], x[0]],
            "y": [low[0], high[0]],
            "line": {"color": f"{color}/0.4", "width": 5},
            "hoverinfo": "skip",
        }
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [*x, *reversed(x)],
        "y": [*high, *reversed(low)],
        "fill": "toself",
        "fillcolor": f"{color}/0.18",
        "line": {"width": 0, "color": f"{color}/0"},
        "hoverinfo": "skip",
    }
