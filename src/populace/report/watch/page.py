"""The live page: its content as it is now, as a whole page and as the parts that change."""

from dataclasses import dataclass
from typing import Any

from populace.core.errors import PopulaceError
from populace.report.charts.chart import Chart
from populace.report.page import environment, render
from populace.report.runs import Reading, RunLike
from populace.report.sections import evaluation, training
from populace.report.text.tables import Cell, Column, Row, Table, count_cell, interval_cell
from populace.report.watch import words

LEADERS = 20


@dataclass
class Content:
    """What the page shows of a run: its reading, or why there is none yet."""

    reading: Reading | None
    charts: list[Chart]
    leaders: Table | None
    note: str = ""

    @classmethod
    def of(cls, run: RunLike) -> "Content":
        """Read a run, as far as it is."""
        try:
            reading = Reading.of(run)
        except PopulaceError as error:
            return cls(None, [], None, str(error))
        if not reading.evaluation.num_rows and not reading.train.num_rows:
            return cls(reading, [], None, "Nothing is written yet: curves come with the first checkpoint.")
        curves = training.learning_curves(reading)
        found = [curves] if curves else []
        if len(reading.settings) > 1 and (ranking := evaluation.leaderboard(reading)):
            found.append(ranking)
        return cls(reading, found + training.diagnostics(reading), _leaders(reading))

    @property
    def specs(self) -> dict[str, Any]:
        """The charts for the page's script."""
        return {chart.id: chart.spec() for chart in self.charts}


def page(content: Content, found: words.ProgressLike, name: str) -> str:
    """Return the whole page."""
    curves = [chart for chart in content.charts if chart.id in ("curves", "leaderboard")]
    known = {
        "title": name, "about": "", "answer": "", "charts": {chart.id: chart for chart in content.charts},
        "curves": curves, "small_multiples": [c for c in content.charts if c not in curves],
        "version": "", "started": "", "parts": parts(content, found),
    }  # fmt: skip
    return render("watch.html.j2", known)


def parts(content: Content, found: words.ProgressLike) -> dict[str, str]:
    """Return what changes on the page beside charts: HTML by the id of its place, everything escaped."""
    template = environment().get_template("watch-parts.html.j2")
    made = template.make_module(
        {
            "sentence": words.sentence(found),
            "facts": words.facts(found, content.reading),
            "answer": words.answer(content.reading),
            "note": content.note,
            "leaders": content.leaders,
            "state": found.status.state,
        }
    )
    return {f"live-{name}": str(getattr(made, name)()) for name in ("head", "table")}


def _leaders(reading: Reading) -> Table | None:
    if reading.winner is None or len(reading.settings) < 2:
        return None
    columns = [
        Column("setting", identifies=True),
        Column(reading.score, numeric=True, score=True, hint="best evaluation of each member so far"),
        Column("members", numeric=True),
        Column("ended early", numeric=True, hint="diverged, or stopped by a controller"),
    ]
    table = Table("leaders-table", "The best settings so far", columns)
    for entry in reading.ranked[:LEADERS]:
        label = reading.label(entry)
        cells = [
            Cell(label, label, reading.color(entry)), interval_cell(reading.believed(entry)),
            count_cell(len(entry["members"])), count_cell(int(entry.get("diverged") or 0)),
        ]  # fmt: skip
        table.rows.append(Row(cells, chosen=entry is reading.winner))
    return table
