"""Generalization on the page: the gap in words, charts and a table, and the flag for over-fitting."""

import tomllib
from typing import Any

from populace.report import number_format
from populace.report.charts.chart import COUNTS, Chart, curve_traces, layout
from populace.report.charts.curves import grid, setting_curve
from populace.report.charts.forest_plot import Dot, dots
from populace.report.runs import Reading
from populace.report.sections.generalization_gap import (
    FEWEST_MEMBERS,
    FEWEST_POINTS,
    Measured,
    fresh_pairs,
    measure,
)
from populace.report.text.tables import Cell, Column, Row, Table
from populace.statistics import Interval

ROWS = 20


def section(reading: Reading) -> dict[str, Any] | None:
    """Return what the page says on generalization; None where nothing was held out."""
    measured = measure(reading)
    if not measured:
        return None
    first = next((m for m in measured if m.entry is reading.winner), measured[0])
    return {
        "sentence": _sentence(reading, first),
        "where": _where(reading),
        "overfitting": _overfitting(reading, measured),
        "table": _table(reading, measured),
        "curves": _curves(reading, first.entry),
        "gaps": _gaps(reading, measured),
    }


def _sentence(reading: Reading, found: Measured) -> str:
    who = "“" + reading.label(found.entry) + "”"
    when = "measured afresh" if fresh_pairs(reading) else "in the last evaluation"
    left = len(found.entry["members"]) - found.n
    without = f" ({number_format.count(left, 'member')} without both numbers left out)" if left else ""
    text = (
        f"{who} reaches an interquartile mean {reading.score} of {number_format.interval(found.training)} "
        f"where it was trained and {number_format.interval(found.held_out)} where it was not, "
        f"{when}{without}: "
    )
    if not number_format.has_width(found.lost):
        return text + f"a gap of {number_format.number(found.lost.value)}, without an interval."
    if found.lost.low > 0:
        return text + f"a gap of {number_format.interval(found.lost, word='95 % interval ')}."
    if found.lost.high < 0:
        return text + f"it does better there, by {number_format.interval(_negative(found.lost))}."
    return text + f"the gap, {number_format.interval(found.lost)}, cannot be told from none."


def _negative(found: Interval) -> Interval:
    return Interval(-found.value, -found.high, -found.low)


def _where(reading: Reading) -> str:
    """Return which environments these are, where the recipe names one of each."""
    learner = tomllib.loads(reading.recipe).get("learner")
    learner = learner if isinstance(learner, dict) else {}
    trained, other = learner.get("env"), learner.get("held_out")
    if not trained or not other or {"env", "held_out"} & set(reading.axes):
        return ""
    return f"Trained in {trained}; held out: {other}."


def _overfitting(reading: Reading, measured: list[Measured]) -> list[str]:
    """Return a sentence for each setting that is flagged, or one that says why none is."""
    flagged = [m for m in measured if m.late and m.late.overfits]
    sentences = []
    for m in flagged:
        assert m.late is not None
        sentences.append(
            f"Over-fitting: over the last half of training, “{reading.label(m.entry)}” improved by "
            f"{number_format.interval(m.late.training)} where it was trained and lost "
            f"{number_format.interval(_negative(m.late.held_out))} where it was not."
        )
    if not any(m.late for m in measured):
        return [
            f"Whether training over-fits cannot be told: it takes {FEWEST_MEMBERS} seeds and "
            f"{2 * FEWEST_POINTS} evaluations during training."
        ]
    which = "No setting" if len(measured) > 1 else "The setting"
    verb = "is flagged" if len(measured) > 1 else "is not flagged"
    return sentences or [f"{which} {verb} as over-fitting."]


def _table(reading: Reading, measured: list[Measured]) -> Table:
    hint = "change of the score over the last half of training, positive for better"
    columns = [
        Column("setting"), Column("members", numeric=True), Column("trained", numeric=True),
        Column("held out", numeric=True), Column("gap", numeric=True),
        Column("late, trained", numeric=True, hint=hint),
        Column("late, held out", numeric=True, hint=hint), Column("over-fits"),
    ]  # fmt: skip
    table = Table("generalization-table", "Every setting where it was trained and where not", columns)
    for m in measured:
        late = [m.late.training, m.late.held_out] if m.late else [None, None]
        verdict = "–" if m.late is None else "yes" if m.late.overfits else "no"
        numbers = [_cell(found) for found in (m.training, m.held_out, m.lost, *late)]
        label = Cell(reading.label(m.entry), reading.label(m.entry), reading.color(m.entry))
        cells = [label, Cell(number_format.whole(m.n), m.n), *numbers, Cell(verdict, verdict)]
        table.rows.append(Row(cells, chosen=m.entry is reading.winner))
    return table


def _cell(found: Interval | None) -> Cell:
    return Cell(number_format.interval(found), None if found is None else found.value)


def _curves(reading: Reading, entry: dict[str, Any]) -> Chart | None:
    """Draw the score of one setting over training, where it is trained and where not."""
    score = reading.results["score"]["name"]
    traces, legend = [], []
    kinds = (("trained", score, "c0", "solid"), ("held out", f"held_out_{score}", "c1", "dash"))
    for name, metric, color, dash in kinds:
        found = grid(reading.evaluation, metric)
        if found is None:
            return None
        curve = setting_curve(found.thinned(), entry)
        places = [len(traces), len(traces) + 1]
        legend.append({"label": name, "color": color, "dash": dash, "traces": places})
        traces += curve_traces(curve, name, color, dash=dash, unit=reading.unit)
    return Chart(
        "generalization",
        f"Interquartile mean {reading.score} over {reading.unit}, where trained and where held out.",
        traces,
        layout({"title": reading.unit, **COUNTS}, {"title": reading.score}),
        legend=legend,
    )


def _gaps(reading: Reading, measured: list[Measured]) -> Chart | None:
    if len(measured) < 2:
        return None
    rows = [
        Dot(reading.compact(m.entry), m.lost, reading.color(m.entry), reading.label(m.entry))
        for m in measured[:ROWS]
    ]
    return dots(
        "gaps",
        rows,
        x=f"{reading.score} lost where not trained",
        heading=reading.axes_line,
        alt=f"The gap of each setting; {rows[0].full} is the first.",
        caption=f"The best {ROWS} settings; the others stand in the table." if len(measured) > ROWS else "",
    )
