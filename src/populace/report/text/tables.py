"""Tables as data: cells with the text to display and the value to sort by."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from populace.report import number_format
from populace.report.runs import Reading, interval_of, score_of
from populace.report.text.full_tables import SETTINGS, shown_members
from populace.report.winner_comparison import WinnerComparison

KINDS = {"validation": "validation", "test": "test", "external": "external"}


@dataclass(frozen=True)
class Column:
    """A column: `numeric` right-aligns it, `score` keeps diverged members last in any sort order."""

    title: str
    numeric: bool = False
    score: bool = False
    hint: str = ""


@dataclass(frozen=True)
class Cell:
    """The text to display and the sort key: a number, a string, or None if the cell is empty."""

    text: str
    key: float | str | None = None
    color: str = ""


@dataclass
class Row:
    """Cells of a row, and whether it is a diverged member or the selected setting."""

    cells: list[Cell]
    diverged: bool = False
    chosen: bool = False


@dataclass
class Table:
    """A table with a caption; `searchable` adds a filter box.

    `cut` says what of a very long table is listed, and names the file beside the page that has all of it.
    """

    id: str
    caption: str
    columns: list[Column]
    rows: list[Row] = field(default_factory=list)
    searchable: bool = False
    cut: tuple[str, str] | None = None


def settings_table(reading: Reading) -> Table:
    """Return a table of all settings by rank, with each of their scores."""
    kinds, compared = _measured(reading), reading.comparison
    columns = [Column("rank", numeric=True), *_axes(reading), Column("members", numeric=True)]
    columns.append(Column("diverged", numeric=True))
    hint = "members that reached the threshold" if reading.score_threshold else "members that did not diverge"
    columns.append(Column("success", numeric=True, hint=hint))
    columns += [Column(KINDS[kind], numeric=True, score=True) for kind in kinds]
    if compared is not None:
        columns.append(
            Column(
                "significant",
                hint="whether the difference from the selected setting is significant (5 % level)",
            )
        )
        columns.append(
            Column("P(best)", numeric=True, hint="how often it is the best when the seeds are resampled")
        )
    table = Table("settings-table", _caption(reading), columns)
    for rank, entry in enumerate(reading.ranked, start=1):
        if rank > SETTINGS and entry is not reading.winner:
            continue
        cells = [Cell(str(rank), rank, reading.color(entry))]
        cells += _values(reading, entry)
        cells.append(_count(len(entry["members"])))
        cells.append(_count(int(entry.get("diverged") or 0)))
        rate = ((entry.get(reading.measured) or {}).get("success_rate") or [None])[0]
        cells.append(Cell(number_format.MISSING if rate is None else f"{100 * rate:.0f} %", rate))
        for kind in kinds:
            found = interval_of(entry.get(kind))
            cells.append(Cell(number_format.interval(found), found.value if found else None))
        if compared is not None:
            cells += _comparison(compared, entry["setting"])
        table.rows.append(Row(cells, chosen=entry is reading.winner))
    return table


def _comparison(found: WinnerComparison, setting: int) -> list[Cell]:
    comparison, chance = found.comparisons.get(setting), found.probability_best.get(setting, math.nan)
    differs = number_format.MISSING
    if comparison is not None and comparison.testable:
        differs = "yes" if comparison.significant else "no"
    share = number_format.MISSING if math.isnan(chance) else f"{100 * chance:.0f} %"
    return [Cell(differs, differs), Cell(share, None if math.isnan(chance) else chance)]


def _caption(reading: Reading) -> str:
    return f"All settings, with {reading.statistic}" + (f" and {reading.bounds}" if reading.bounds else "")


def members_table(reading: Reading) -> Table:
    """Return a table of all members with setting, seed, scores, and divergence."""
    kinds = [k for k in KINDS if any(score_of(m, k) is not None for m in reading.members)]
    columns = [Column("member", numeric=True), *_axes(reading), Column("seed", numeric=True)]
    columns.append(Column("state", hint="finite, or the step at which it diverged"))
    titles = {"test": "test", "external": "external"}
    last = reading.results.get("checkpoint_selection") == "last"
    titles["validation"] = "last evaluation" if last else "best evaluation"
    hints = {
        "validation": "the last evaluation during training"
        if last
        else "the best evaluation during training, which is biased upward"
    }
    columns += [Column(titles[kind], numeric=True, score=True, hint=hints.get(kind, "")) for kind in kinds]
    columns.append(Column("at step", numeric=True, hint="step of that evaluation"))
    by_setting = {entry["setting"]: entry for entry in reading.settings}
    table = Table("members-table", "All members", columns, searchable=True)
    for member in shown_members(reading):
        at = member.get("diverged_at")
        entry = by_setting[member["setting"]]
        cells = [Cell(str(member["member"]), member["member"]), *_values(reading, entry)]
        cells.append(Cell(str(member["seed"]), member["seed"]))
        cells.append(
            Cell("finite", -1.0) if at is None else Cell(f"diverged at {number_format.whole(at)}", at)
        )
        for kind in kinds:
            score = score_of(member, kind)
            cells.append(Cell(number_format.number(score), score))
        step = (member.get("validation") or {}).get("step")
        cells.append(Cell(number_format.whole(step), step))
        table.rows.append(Row(cells, diverged=at is not None, chosen=entry is reading.winner))
    return table


def pairs(values: Iterable[tuple[str, Any]]) -> list[tuple[str, str]]:
    """Format values for a list of terms, leaving out those that are unknown."""
    return [(name, _plain(value)) for name, value in values if value not in (None, "", [], {})]


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return number_format.number(value)
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return str(value)


def _measured(reading: Reading) -> list[str]:
    return [k for k in KINDS if any(interval_of(e.get(k)) for e in reading.settings)]


def _axes(reading: Reading) -> list[Column]:
    numeric = {path: all(map(_is_number, values)) for path, values in reading.axes.items()}
    return [Column(reading.short_names[p], numeric=numeric[p], hint=p) for p in reading.axes]


def _values(reading: Reading, entry: dict[str, Any]) -> list[Cell]:
    values: Sequence[Any] = [(entry.get("values") or {}).get(path) for path in reading.axes]
    return [
        Cell(number_format.setting(v), float(v) if _is_number(v) else number_format.setting(v))
        for v in values
    ]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _count(amount: int) -> Cell:
    return Cell(number_format.whole(amount), amount)
