"""Tables as data: cells with the text to display and the value to sort by."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from populace.report import number_format
from populace.statistics import Interval


@dataclass(frozen=True)
class Column:
    """A column: `numeric` right-aligns it, `score` keeps diverged members last in any sort order.

    A column that `identifies` its rows, or holds a score, stays if all its cells are equal; others go, and
    a note says what they held, unless they are `silent`.
    """

    title: str
    numeric: bool = False
    score: bool = False
    hint: str = ""
    identifies: bool = False
    silent: bool = False


@dataclass(frozen=True)
class Cell:
    """The text to display, `detail` beside it, and the sort key: a number, a string, or None if empty."""

    text: str
    key: float | str | None = None
    color: str = ""
    detail: str = ""


@dataclass
class Row:
    """Cells of a row, and whether it is a diverged member or the selected setting."""

    cells: list[Cell]
    diverged: bool = False
    chosen: bool = False


@dataclass
class Table:
    """A table with a caption and notes below it; `searchable` adds a filter box.

    `cut` says what of a very long table is listed, and names the file beside the page that has all of it.
    """

    id: str
    caption: str
    columns: list[Column]
    rows: list[Row] = field(default_factory=list)
    searchable: bool = False
    cut: tuple[str, str] | None = None
    notes: list[str] = field(default_factory=list)

    def condensed(self) -> "Table":
        """Return the table without the columns that are equal in all rows; a note says what they hold."""
        if len(self.rows) < 2:
            return self
        same = [
            i
            for i, column in enumerate(self.columns)
            if not (column.score or column.identifies) and len({row.cells[i].text for row in self.rows}) == 1
        ]
        kept = [i for i in range(len(self.columns)) if i not in same]
        first = self.rows[0].cells
        said = [(self.columns[i].title, first[i].text) for i in same if not self.columns[i].silent]
        held = [f"{title} {text}" for title, text in said if text != number_format.MISSING]
        notes = [f"The same in every row: {', '.join(held)}."] if held else []
        rows = [Row([row.cells[i] for i in kept], row.diverged, row.chosen) for row in self.rows]
        columns = [self.columns[i] for i in kept]
        return replace(self, columns=columns, rows=rows, notes=[*self.notes, *notes])


def interval_cell(found: Interval | None) -> Cell:
    """Return a cell of a value, with its bounds as the detail."""
    if found is None or not number_format.has_width(found):
        return Cell(number_format.interval(found), None if found is None else found.value)
    return Cell(number_format.value_of(found), found.value, detail=f"({number_format.bounds_of(found)})")


def count_cell(amount: int) -> Cell:
    """Return a cell of a count."""
    return Cell(number_format.whole(amount), amount)


def number_cells(values: list[float | None]) -> list[Cell]:
    """Return the cells of a column of numbers, all with the same decimals."""
    return [Cell(shown, value) for shown, value in zip(number_format.column(values), values)]


def pairs(values: Iterable[tuple[str, Any]]) -> list[tuple[str, str]]:
    """Format values for a list of terms, leaving out those that are unknown."""
    return [(name, _plain(value)) for name, value in values if value not in (None, "", [], {})]


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return number_format.number(value)
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return str(value)
