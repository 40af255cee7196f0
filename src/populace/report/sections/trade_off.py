"""The section on trade-offs: score against each cost, with the front drawn, in charts, words and a table."""

import math
from typing import Any

from populace.report import number_format
from populace.report.charts.chart import Chart, layout, numbers
from populace.report.charts.labels import text
from populace.report.runs import Reading
from populace.report.text import trade_off as words
from populace.report.trade_off import Cost, SettingCosts, TradeOff

_APART = 0.25
"""Least distance of two labels on the axis of a cost, as a share of its range."""


def section(reading: Reading) -> dict[str, Any] | None:
    """Return the content of the section; None where there is no trade-off."""
    found = TradeOff(reading)
    if found.obstacle:
        return None
    return {
        "smallest": words.smallest(found),
        "front": words.front(found),
        "missing": words.missing(found),
        # Where all cost the same, it would say once more what the table of settings says.
        "table": words.table(found) if found.differing or found.judges_over_fitting else None,
        "charts": [_chart(found, cost) for cost in found.differing],
    }


def _chart(found: TradeOff, cost: Cost) -> Chart:
    """Plot the score of every setting against a cost, with a stair through those that nothing dominates."""
    reading, front = found.reading, found.front_by(cost)
    on = {id(one) for one in front}
    stair = {
        "type": "scatter", "mode": "lines", "hoverinfo": "skip",
        "x": numbers([one.of[cost.key] or 0.0 for one in front]),
        "y": numbers([one.score.value for one in front]),
        "line": {"color": "c0", "width": 1.5, "shape": "hv"},
    }  # fmt: skip
    others = [one for one in found.settings if id(one) not in on]
    traces = [stair, _dots(found, cost, others, "muted/0.55"), _dots(found, cost, front, "c0")]
    values = [one.of[cost.key] or 0.0 for one in found.settings]
    wide = min(values) > 0 and max(values) >= 10 * min(values)
    ticks = _ticks(sorted({one.of[cost.key] or 0.0 for one in front}), min(values), max(values), wide)
    axis: dict[str, Any] = {
        "title": cost.name, "type": "log" if wide else "linear", "tickangle": 0,
        "tickvals": numbers(ticks), "ticktext": [text(cost.write(tick)) for tick in ticks],
    }  # fmt: skip
    return Chart(
        f"trade-off-{cost.key}".replace("_", "-"),
        f"{reading.score.capitalize()} against {cost.name}; {number_format.count(len(front), 'setting')} "
        f"on the front, the cheapest {reading.label(front[0].entry)}.",
        traces,
        layout(axis, {"title": reading.score}),
        title=cost.name.capitalize(),
        height=300,
    )


def _ticks(wanted: list[float], low: float, high: float, logarithmic: bool) -> list[float]:
    """Return those of the wanted ticks, in order, whose labels do not run into one another."""
    change = math.log if logarithmic else float
    apart = _APART * (change(high) - change(low))
    found: list[float] = []
    for tick in wanted:
        if not found or change(tick) - change(found[-1]) >= apart:
            found.append(tick)
    return found


def _dots(found: TradeOff, cost: Cost, settings: list[SettingCosts], color: str) -> dict[str, Any]:
    reading = found.reading
    chosen = [one.entry is reading.winner for one in settings]
    return {
        "type": "scatter", "mode": "markers", "hoverinfo": "text",
        "x": numbers([one.of[cost.key] or 0.0 for one in settings]),
        "y": numbers([one.score.value for one in settings]),
        "error_y": {
            "type": "data", "symmetric": False, "color": color, "thickness": 1.2, "width": 0,
            "array": numbers([one.score.high - one.score.value for one in settings]),
            "arrayminus": numbers([one.score.value - one.score.low for one in settings]),
        },
        "marker": {
            "color": color, "size": [12 if c else 8 for c in chosen],
            "symbol": ["diamond" if c else "circle" for c in chosen],
        },
        "hovertext": [_hover(found, one) for one in settings],
    }  # fmt: skip


def _hover(found: TradeOff, one: SettingCosts) -> str:
    costs = [f"{cost.name}: {cost.write(one.of[cost.key])}" for cost in found.costs]
    score = f"<b>{number_format.interval(one.score, named=True)}</b>"
    return "<br>".join([text(found.reading.label(one.entry)), score, *map(text, costs)])
