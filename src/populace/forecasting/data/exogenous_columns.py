"""Exogenous columns of a table, put where the steps of its series are."""

import narwhals as nw
import numpy as np

from populace.core.errors import UsageError
from populace.forecasting.data.exogenous import Exogenous, Roles, dummies
from populace.forecasting.data.rows import Rows
from populace.forecasting.data.table import Table


def exogenous_columns(
    rows: Rows, first: np.ndarray, place: np.ndarray, offsets: np.ndarray, known: np.ndarray
) -> Exogenous:
    """Return exogenous columns, in the places of their steps; NaN where a step has no row.

    Args:
        rows: sorted by series and stamp.
        first: (n,) where the rows of each series begin.
        place: (N,) the step of each row, counted from the start of its series.
        offsets: (n + 1,) where the steps of each series begin, those ahead counted.
        known: (n,) how many steps each series has up to its last observation.

    Raises:
        UsageError: a value that is missing, with its row; a static column that changes within a series.

    """
    roles, table = rows.roles, rows.table
    if not roles.names:
        return Exogenous()
    lengths = np.diff(offsets)
    sizes = np.diff(np.append(first, len(place)))
    steps = np.repeat(offsets[:-1], sizes) + place
    history = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths) < np.repeat(known, lengths)
    found: dict[str, dict[str, np.ndarray]] = {"past": {}, "future": {}, "static": {}}
    for role, columns in found.items():
        for name in getattr(roles, role):
            needed = place < np.repeat(known, sizes) if role == "past" else np.ones(len(place), bool)
            for level, values in _columns(table, name, roles, rows, needed).items():
                if role == "static":
                    columns[level] = _static(name, values, rows, first, sizes)
                    continue
                whole = np.full(offsets[-1], np.nan)
                whole[steps] = values
                columns[level] = whole[history] if role == "past" else whole
    return Exogenous(**found, begins=offsets[:-1], known=lengths)


def _columns(table: Table, name: str, roles: Roles, rows: Rows, needed: np.ndarray) -> dict[str, np.ndarray]:
    """Return a column of numbers, or one per category; a value that is missing is refused with its row."""
    column = table.column(name)
    text = not (column.dtype.is_numeric() or column.dtype == nw.Boolean)
    levels = text or name in roles.categorical
    numbers = np.zeros(0) if levels else table.numbers(name)[rows.rows]
    missing = column.is_null().to_numpy()[rows.rows] if levels else np.isnan(numbers)
    bad = np.flatnonzero(missing & needed)
    if bad.size:
        raise UsageError(
            f"{rows.row(int(bad[0]))}: exogenous column '{name}' is missing (in all: {bad.size:,}); fill it"
        )
    if not levels:
        return {name: numbers}
    values = np.asarray(column.to_list(), object)[rows.rows]
    return dummies(name, np.where(missing, values[np.argmin(missing)], values))


def _static(name: str, values: np.ndarray, rows: Rows, first: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    column = values[first]
    changed = np.flatnonzero(values != np.repeat(column, sizes))
    if changed.size:
        i = int(changed[0])
        raise UsageError(
            f"{rows.row(i)}: static column '{name}' changes within series {rows.name(i)}; expected one "
            "value per series, or name it in past or future"
        )
    return column
