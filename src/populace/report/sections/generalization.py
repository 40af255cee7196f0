"""The section on generalization: the generalization gap in text, charts and a table, and overfitting."""

from typing import Any

from populace.core.errors import UsageError
from populace.core.untrusted import toml
from populace.report import number_format
from populace.report.charts.chart import COUNTS, Chart, curve_traces, layout
from populace.report.charts.curves import grid, setting_curve, with_floors
from populace.report.charts.forest_plot import ForestRow, forest_plot
from populace.report.runs import Reading
from populace.report.sections.generalization_gap import (
    FEWEST_POINTS,
    SettingGap,
    measure,
    test_pairs,
)
from populace.report.text.full_tables import SETTINGS
from populace.report.text.tables import Cell, Column, Row, Table
from populace.statistics import FEWEST, Interval

ROWS = 20


def section(reading: Reading) -> dict[str, Any] | None:
    """Return the content of the section on generalization; None without a held-out environment."""
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
        "gap_chart": _gap_chart(reading, measured),
    }


def _sentence(reading: Reading, found: SettingGap) -> str:
    who = "“" + reading.label(found.entry) + "”"
    when = "measured after selection" if test_pairs(reading) else "in the last evaluation"
    left = len(found.entry["members"]) - found.n
    without = f" (without {number_format.count(left, 'member')} for lack of both scores)" if left else ""
    text = (
        f"{who} reaches an interquartile mean {reading.score} of {number_format.interval(found.training)} "
        f"in the training environment and {number_format.interval(found.held_out)} in the held-out one, "
        f"{when}{without}: "
    )
    if not number_format.has_width(found.lost):
        return text + f"a gap of {number_format.number(found.lost.value)}, without an interval."
    if found.lost.low > 0 or found.lost.range_of:
        return text + f"a gap of {number_format.interval(found.lost, named=True)}."
    if found.lost.high < 0:
        return text + f"it does better held out, by {number_format.interval(_negative(found.lost))}."
    return text + f"the gap of {number_format.interval(found.lost)} is not distinguishable from zero."


def _negative(found: Interval) -> Interval:
    return Interval(-found.value, -found.high, -found.low, found.range_of)


def _where(reading: Reading) -> str:
    """Return the names of the two environments, if the recipe names one of each."""
    try:
        learner = toml.loads(reading.recipe, "the recipe").get("learner")
    except UsageError:
        return ""
    learner = learner if isinstance(learner, dict) else {}
    trained, other = learner.get("env"), learner.get("held_out")
    if not trained or not other or {"env", "held_out"} & set(reading.axes):
        return ""
    return f"Training environment: {trained}; held out: {other}."


def _overfitting(reading: Reading, measured: list[SettingGap]) -> list[str]:
    """Return a sentence for each setting flagged as overfitting, or one that says why none is."""
    flagged = [m for m in measured if m.late and m.late.overfits]
    sentences = []
    for m in flagged:
        assert m.late is not None
        sentences.append(
            f"Overfitting: over the last half of training, “{reading.label(m.entry)}” improved by "
            f"{number_format.interval(m.late.training)} in the training environment and lost "
            f"{number_format.interval(_negative(m.late.held_out))} in the held-out one."
        )
    if not any(m.late for m in measured):
        return [
            f"Whether training overfits cannot be determined: it takes {FEWEST} seeds and "
            f"{2 * FEWEST_POINTS} evaluations during training."
        ]
    which = "No setting" if len(measured) > 1 else "The setting"
    verb = "is flagged" if len(measured) > 1 else "is not flagged"
    return sentences or [f"{which} {verb} as overfitting."]


def _table(reading: Reading, measured: list[SettingGap]) -> Table:
    hint = "change of the score over the last half of training; positive is better"
    columns = [
        Column("setting"), Column("members", numeric=True), Column("training", numeric=True),
        Column("held out", numeric=True), Column("gap", numeric=True),
        Column("late change, training", numeric=True, hint=hint),
        Column("late change, held out", numeric=True, hint=hint), Column("overfits"),
    ]  # fmt: skip
    table = Table("generalization-table", "All settings, in training and held-out environment", columns)
    if len(measured) > SETTINGS:
        table.cut = f"The best {SETTINGS} of {number_format.whole(len(measured))} settings are listed.", ""
    for m in measured[:SETTINGS]:
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
    """Plot the score of one setting over training, in the training and the held-out environment."""
    score = reading.results["score"]["name"]
    traces, legend = [], []
    kinds = (("training", score, "c0", "solid"), ("held out", f"held_out_{score}", "c1", "dash"))
    for name, metric, color, dash in kinds:
        found = grid(reading.evaluation, metric)
        if found is None:
            return None
        curve = setting_curve(with_floors(found.thinned(), reading, metric), entry)
        places = [len(traces), len(traces) + 1]
        legend.append({"label": name, "color": color, "dash": dash, "traces": places})
        traces += curve_traces(curve, name, color, dash=dash, unit=reading.unit)
    return Chart(
        "generalization",
        f"Interquartile mean {reading.score} over {reading.unit}, in training and held-out environment.",
        traces,
        layout({"title": reading.unit, **COUNTS}, {"title": reading.score}),
        legend=legend,
    )


def _gap_chart(reading: Reading, measured: list[SettingGap]) -> Chart | None:
    if len(measured) < 2:
        return None
    rows = [
        ForestRow(reading.compact(m.entry), m.lost, reading.color(m.entry), reading.label(m.entry))
        for m in measured[:ROWS]
    ]
    return forest_plot(
        "generalization-gap",
        rows,
        x=f"generalization gap in {reading.score}",
        heading=reading.axes_line,
        alt=f"Generalization gap of each setting; the first is {rows[0].full}.",
        caption=f"The best {ROWS} settings; the table lists the others." if len(measured) > ROWS else "",
    )
