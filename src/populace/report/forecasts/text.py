"""Words and tables of the page of a forecast."""

from typing import Any

from populace.report import number_format
from populace.report.forecasts.charts import decimals, interval_of, percent, ranked
from populace.report.text.tables import Cell, Column, Row, Table, interval_cell
from populace.statistics import Interval


def answer(found: dict[str, Any]) -> str:
    """Return the first sentence: which model, how much better than the baseline, and its coverage."""
    name, baseline, windows = found["chosen"], found["baseline"], found["windows"]
    scores = found["fresh"] or found["models"][name]
    lead = f"{name}{', the baseline itself,' if name == baseline else ''}"
    best = f"{lead} did best of {number_format.count(len(found['models']), 'model')}"
    if found["asked"]:
        lead = f"{lead} was asked for; in the {'last' if found['fresh'] else 'one'} backtest window"
    elif found["fresh"]:
        before = "window" if windows == 2 else f"{windows - 1} windows"
        lead = f"{best} in the {before} before the last; in the last, which took no part in the choice,"
    else:
        lead = f"{best} in the one backtest window, by which it was chosen; there"
    said = []
    ratio, loss = interval_of(scores["relative"]), interval_of(scores["wql"])
    if name != baseline and ratio is not None:
        said.append(f"its quantile loss is {_compared(ratio, baseline)}")
    elif loss is not None:
        said.append(f"its weighted quantile loss is {number_format.interval(loss)}")
    share, level = interval_of(scores.get("coverage")), found["interval"]
    if share is not None and level:
        said.append(f"{percent(share)} of observations lie in its {100 * level:g} % interval")
    return f"{lead} {', and '.join(said) or 'nothing can be measured'}."


def _compared(ratio: Interval, baseline: str) -> str:
    """Return `34 % lower than that of naive (12 to 50 %)`, or how little can be said."""
    if ratio.low < ratio.high and ratio.low <= 1 <= ratio.high:
        bounds = f"{ratio.low:.2f} to {ratio.high:.2f}"
        return f"{ratio.value:.2f} times that of {baseline} ({bounds}, so either may be better)"
    if ratio.value > 2:  # as a percentage it would be hard to read
        bounds = f" ({ratio.low:.1f} to {ratio.high:.1f})" if ratio.low < ratio.high else ""
        return f"{ratio.value:.1f} times that of {baseline}{bounds}"
    way = "lower" if ratio.value < 1 else "higher"
    digits = decimals(ratio)
    ends = sorted(abs(100 * (1 - end)) for end in (ratio.low, ratio.high)) if ratio.low < ratio.high else []
    bounds = f" ({ends[0]:.{digits}f} to {ends[1]:.{digits}f} %)" if ends else ""
    return f"{abs(100 * (1 - ratio.value)):.{digits}f} % {way} than that of {baseline}{bounds}"


def caveats(found: dict[str, Any]) -> list[str]:
    """Return what a reader must know before trusting the numbers."""
    said = []
    if not found["over"]:
        said.append(
            f"Too little for intervals: {number_format.count(found['windows'], 'window')} of "
            f"{found['series']} series. Errors of one forecast go together; give 5 windows or more "
            "(--windows 5)."
        )
    elif not found["over"].startswith("series") and found["series"] > 1:
        said.append(
            f"{found['series']} series are too few to resample: intervals are for these, not for others "
            "like them."
        )
    said += _fresh(found)
    if found["windows"] < 3 and not found["asked"]:
        said.append("With fewer than 3 windows the choice rests on little; give more of them (--windows).")
    if found["missing"]:
        said.append(f"{number_format.count(found['missing'], 'observation')} missing: they count nowhere.")
    if found.get("left out"):
        said.append(f"Left out: {found['left out']}.")
    if found["unscaled"]:
        said.append(
            f"{number_format.whole(found['unscaled'])} of {number_format.whole(found['series'])} series have "
            "no MASE, as nothing scales a constant history; they count in the other columns."
        )
    return said


def _fresh(found: dict[str, Any]) -> list[str]:
    """Return what the intervals of the last window leave out, and what all windows say."""
    ratio = interval_of(found["models"][found["chosen"]]["relative"])
    if not found["fresh"] or not found["over"] or ratio is None or found["chosen"] == found["baseline"]:
        return []
    whole = f"over all {found['windows']} windows the loss is {_compared(ratio, found['baseline'])}."
    if not found["fresh over"]:
        return [f"One window has no interval; {whole}"]
    if "blocks" not in found["fresh over"]:
        return [f"Intervals of the last window are over series, and say nothing about other times; {whole}"]
    return []


def facts(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return key figures of the data and the backtest."""
    return [
        ("series", number_format.whole(found["series"])),
        ("observations", number_format.whole(found["observations"])),
        ("frequency", found["frequency"]),
        ("season", number_format.count(found["season"], "step") if found["season"] > 1 else "none"),
        ("horizon", number_format.count(found["horizon"], "step")),
        ("backtest windows", number_format.whole(found["windows"])),
        ("observations tested", number_format.whole(found["tested"])),
        ("forecast by", found["chosen"]),
    ]


def models_table(found: dict[str, Any]) -> Table:
    """Return the backtest of all models."""
    level = found["interval"]
    columns = [
        Column("model", identifies=True),
        Column(
            "WQL",
            numeric=True,
            score=True,
            hint="weighted quantile loss over all observations; lower is better",
        ),
        Column(
            f"× {found['baseline']}",
            numeric=True,
            score=True,
            hint="WQL as a multiple of the baseline's; below 1 is better",
        ),
        Column(
            "better",
            numeric=True,
            score=True,
            hint="probability that a forecast of one series from one cutoff beats the baseline's",
        ),
        Column(
            "MASE",
            numeric=True,
            score=True,
            hint="mean absolute error over that of seasonal naive forecasts within the history",
        ),
    ]
    if level:
        columns.append(
            Column(
                f"in {100 * level:g} %",
                numeric=True,
                score=True,
                hint="share of observations in this interval",
            )
        )
    columns.append(
        Column("MAE", numeric=True, score=True, hint="mean absolute error, in the unit of the series")
    )
    table = Table("models-table", "Backtest of all models", columns)
    for name in ranked(found):
        scores = found["models"][name]
        itself = name == found["baseline"]
        cells = [Cell(name, name), interval_cell(interval_of(scores["wql"]))]
        cells.append(Cell("1", 1.0) if itself else interval_cell(interval_of(scores["relative"])))
        cells.append(Cell(number_format.MISSING) if itself else _percent_cell(scores["improvement"]))
        cells.append(interval_cell(interval_of(scores["mase"])))
        if level:
            cells.append(_percent_cell(scores.get("coverage")))
        cells.append(interval_cell(interval_of(scores["mae"])))
        table.rows.append(Row(cells, chosen=name == found["chosen"]))
    return table


def worst_table(found: dict[str, Any]) -> Table | None:
    """Return the series with the highest MASE; None where no series has one, or there is only one series."""
    if found["series"] < 2 or not found["worst"]:
        return None
    columns = [
        Column("series", identifies=True),
        Column("MASE", numeric=True, score=True),
        Column(found["baseline"], numeric=True, score=True, hint=f"MASE of {found['baseline']}"),
        Column("MAE", numeric=True, score=True),
    ]
    covered = bool(found["interval"])
    if covered:
        columns.append(Column(f"in {100 * found['interval']:g} %", numeric=True, score=True))
    columns.append(Column("observations", numeric=True))
    if found["chosen"] == found["baseline"]:
        del columns[2]
    table = Table("worst-table", "Series with the highest errors", columns)
    for entry in found["worst"]:
        cells = [
            Cell(entry["id"], entry["id"]),
            _number(entry["mase"]),
            _number(entry["baseline"]),
            _number(entry["mae"]),
        ]
        if found["chosen"] == found["baseline"]:
            del cells[2]
        if covered:
            share = entry["coverage"]
            cells.append(
                Cell(number_format.MISSING) if share is None else Cell(f"{100 * share:.0f} %", share)
            )
        cells.append(Cell(number_format.whole(entry["observations"]), entry["observations"]))
        table.rows.append(Row(cells))
    return table


def _number(value: float | None) -> Cell:
    return Cell(number_format.number(value, 3), value)


def _percent_cell(values: list[float | None] | None) -> Cell:
    share = interval_of(values)
    if share is None:
        return Cell(number_format.MISSING)
    value, _, bounds = percent(share).partition(" (")
    return Cell(value, share.value, detail=f"({bounds}" if bounds else "")
