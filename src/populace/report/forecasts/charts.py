"""Charts of a backtest: models against the baseline, calibration, coverage by step, and errors."""

import itertools
from typing import Any

import numpy as np

from populace.report import number_format
from populace.report.charts.chart import Chart, Trace, band, layout, mark, numbers
from populace.report.charts.forest_plot import ForestRow, forest_plot
from populace.report.charts.labels import text
from populace.statistics import Interval


def interval_of(values: list[float | None] | None) -> Interval | None:
    """Return the interval that a list of value and bounds is; None of nothing, or no value."""
    if not values or values[0] is None:
        return None
    value, low, high = (float("nan") if v is None else float(v) for v in values)
    return Interval(value, low, high)


def models_chart(found: dict[str, Any]) -> Chart | None:
    """Plot each model's loss as a multiple of the baseline's; None where there is nothing to compare."""
    rows = []
    for name in ranked(found):
        ratio = interval_of(found["models"][name]["relative"])
        if ratio is not None and name != found["baseline"]:
            rows.append(ForestRow(name, ratio, chosen=name == found["chosen"]))
    if not rows:
        return None
    title = f"quantile loss as a multiple of that of {found['baseline']}"
    drawn = forest_plot(
        "models",
        rows,
        x=title,
        narrow_x=f"multiple of {found['baseline']}'s loss",
        alt=f"Models by {title}, each with its interval; below 1 is better than {found['baseline']}.",
    )
    drawn.layout |= mark(1.0, f"as {found['baseline']}", axis="x")
    drawn.layout["margin"]["t"] += 18
    drawn.height += 18
    drawn.narrow_height += 18
    return drawn


def calibration_chart(found: dict[str, Any]) -> Chart:
    """Plot the measured share below each quantile against its nominal level."""
    traces: list[Trace] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [0, 1],
            "y": [0, 1],
            "line": {"color": "muted", "width": 1, "dash": "dot"},
            "hoverinfo": "skip",
        }
    ]
    legend = []
    for name, color, dash in _two(found):
        shares = found["models"][name]["calibration"]
        level = [float(q) for q in shares]
        each = [interval_of(share) or Interval(np.nan, np.nan, np.nan) for share in shares.values()]
        places = [len(traces)]
        low, high = (np.array([getattr(share, end) for share in each]) for end in ("low", "high"))
        if color == "c0" and np.isfinite(low).all() and len(level) > 1:
            traces.append(band(np.array(level), low, high, color, shown=True))
            places.append(places[0] + 1)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": level,
                "y": numbers(share.value for share in each),
                "line": {"color": color, "width": 2, "dash": dash},
                "marker": {"color": color, "size": 7},
                "hovertext": [
                    f"{text(name)}<br>nominal {100 * q:g} %<br>measured <b>{percent(share)}</b>"
                    for q, share in zip(level, each)
                ],
                "hoverinfo": "text",
            }
        )
        legend.append({"label": name, "color": color, "dash": dash, "traces": places})
    axis = {"range": [-0.02, 1.02], "tickformat": ".0%", "nticks": 6}
    drawn = layout(
        {"title": "nominal level of the quantile"} | axis, {"title": "observations below it"} | axis
    )
    alt = "Calibration: the share of observations at or below each quantile over its nominal level."
    return Chart("calibration", alt, traces, drawn, height=380, narrow_height=320, legend=legend)


def coverage_chart(found: dict[str, Any]) -> Chart | None:
    """Plot the share of observations within the widest interval over the steps of the horizon."""
    traces, legend, nominal = [], [], None
    for name, color, dash in _two(found):
        entry = found["coverage by step"][name]
        if entry is None or len(entry["step"]) < 2:
            return None
        nominal = entry["nominal"]
        legend.append({"label": name, "color": color, "dash": dash, "traces": [len(traces)]})
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers" if len(entry["step"]) <= 48 else "lines",
                "x": entry["step"],
                "y": entry["share"],
                "line": {"color": color, "width": 2, "dash": dash},
                "marker": {"color": color, "size": 5},
                "hovertext": [
                    f"{text(name)}, step {step}<br><b>{_share(share)}</b> of "
                    f"{number_format.count(count, 'observation')}"
                    for step, share, count in zip(entry["step"], entry["share"], entry["observations"])
                ],
                "hoverinfo": "text",
            }
        )
    if nominal is None:
        return None
    shares = [v for trace in traces for v in trace["y"] if v is not None]
    low = min([*shares, nominal])
    axis = {"range": [max(-0.02, low - 0.1), 1.02], "tickformat": ".0%", "nticks": 6}
    drawn = layout(
        {"title": "step of the horizon", "nticks": 8},
        {"title": f"within the {100 * nominal:g} % interval"} | axis,
    )
    drawn |= mark(nominal, "")
    alt = f"Share of observations within the {100 * nominal:g} % interval, by step of the horizon."
    return Chart("coverage", alt, traces, drawn, height=380, narrow_height=320, legend=legend)


def residuals_chart(found: dict[str, Any]) -> Chart | None:
    """Plot the spread of errors over the steps of the horizon."""
    entry = found["residuals"]
    step, quantiles = np.asarray(entry["step"], float), entry["quantiles"]
    rows = {q: np.array([np.nan if v is None else v for v in values]) for q, values in quantiles.items()}
    there = np.isfinite(rows["0.5"])
    if there.sum() < 2:
        return None
    kept = {q: row[there] for q, row in rows.items()}
    traces = [
        band(step[there], kept["0.05"], kept["0.95"], "c0", shown=True),
        band(step[there], kept["0.25"], kept["0.75"], "c0", shown=True),
        {
            "type": "scatter",
            "mode": "lines",
            "x": numbers(step[there]),
            "y": numbers(kept["0.5"]),
            "line": {"color": "c0", "width": 2},
            "hovertext": [
                f"step {s:g}<br>median {number_format.number(m, 3)}"
                f"<br>50 %: {number_format.number(a, 3)} to {number_format.number(b, 3)}"
                f"<br>90 %: {number_format.number(c, 3)} to {number_format.number(d, 3)}"
                for s, m, a, b, c, d in zip(
                    step[there], kept["0.5"], kept["0.25"], kept["0.75"], kept["0.05"], kept["0.95"]
                )
            ],
            "hoverinfo": "text",
        },
    ]
    drawn = layout({"title": "step of the horizon", "nticks": 8}, {"title": "error", "nticks": 6})
    drawn["yaxis"] |= {"zeroline": True, "zerolinecolor": "muted"}
    alt = "Errors by step of the horizon: median, the middle half and the middle 90 %."
    return Chart("residuals", alt, traces, drawn, height=340, narrow_height=300)


def histogram_chart(found: dict[str, Any]) -> Chart | None:
    """Plot how many errors are of each size."""
    entry = found["residuals"]
    edges, count = entry["histogram"]["edges"], entry["histogram"]["count"]
    if not count:
        return None
    centers = [(a + b) / 2 for a, b in itertools.pairwise(edges)]
    trace = {
        "type": "bar",
        "x": numbers(centers),
        "y": count,
        "marker": {"color": "c0"},
        "hovertext": [
            f"{number_format.number(a, 3)} to {number_format.number(b, 3)}<br><b>{number_format.whole(c)}</b>"
            for a, b, c in zip(edges, edges[1:], count)
        ],
        "hoverinfo": "text",
    }
    axis = {"exponentformat": "SI", "minexponent": 3, "nticks": 5}
    drawn = layout({"title": _unit(entry), "nticks": 7}, {"title": "errors"} | axis, bargap=0.06)
    alt = "How many errors of the backtest are of each size."
    return Chart("histogram", alt, [trace], drawn, height=340, narrow_height=280)


def ranked(found: dict[str, Any]) -> list[str]:
    """Return the models, the one of the lowest weighted quantile loss first."""
    losses = {name: scores["wql"][0] for name, scores in found["models"].items()}
    return sorted(losses, key=lambda name: float("inf") if losses[name] is None else losses[name])


def percent(share: Interval) -> str:
    """Format a share with its bounds, `88 % (84 to 92 %)`."""
    digits = decimals(share)
    value = f"{100 * share.value:.{digits}f} %"
    if not share.high > share.low:
        return value
    return f"{value} ({100 * share.low:.{digits}f} to {100 * share.high:.{digits}f} %)"


def decimals(share: Interval) -> int:
    """Return how many decimals a percentage needs, so that its bounds differ."""
    width = 100 * (share.high - share.low)
    return 0 if not 0 < width < 2 else 1 if width >= 0.2 else 2


def _share(share: float | None) -> str:
    return number_format.MISSING if share is None else f"{100 * share:.0f} %"


def _unit(entry: dict[str, Any]) -> str:
    return "error, in seasonal differences" if entry["scaled"] else "error"


def _two(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return the chosen model and the baseline, with their colors and dashes."""
    both = [(found["chosen"], "c0", "solid"), (found["baseline"], "c1", "dash")]
    return both[: 1 if found["chosen"] == found["baseline"] else 2]
