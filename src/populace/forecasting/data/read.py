"""From a table, long or wide, to a panel of regular series."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import narwhals as nw
import numpy as np

from populace.core.errors import UsageError
from populace.forecasting.data.exogenous import Roles
from populace.forecasting.data.panel import Panel
from populace.forecasting.data.regular import regular
from populace.forecasting.data.rows import Rows
from populace.forecasting.data.table import Table
from populace.forecasting.data.time.frequency import Frequency
from populace.forecasting.data.time.stamps import stamps

_TIMES = ("ds", "date", "time", "timestamp", "datetime", "year")
_IDS = ("unique_id", "id", "item_id", "series")


def read(
    given: Any,
    *,
    id: str | None = None,
    time: str | bool | None = None,
    target: str | Sequence[str] | None = None,
    frequency: str | int | Frequency | None = None,
    missing: str = "refuse",
    time_zone: str = "",
    past: str | Sequence[str] = (),
    future: str | Sequence[str] = (),
    static: str | Sequence[str] = (),
    categorical: str | Sequence[str] = (),
) -> Panel:
    """Return the panel in a table.

    A long table has a row per series and stamp: a column of names, one of stamps, one of observations. A
    wide one has a row per stamp and a column per series. Rows may come in any order.

    Args:
        given: a pandas, polars or Arrow frame, a dictionary of columns, or the path of a `.csv` or
            `.parquet`.
        id: the column of series' names; by default `unique_id` (or `id`, `item_id`, `series`) where there is
            one.
        time: the column of stamps; by default `ds`, or one named `date`, `time`, `timestamp`, `datetime`,
            `year`. False where there is none, and rows lie in order, one step each.
        target: the column of observations; by default `y`, or the only one left. Without `id`, several are
            several series, and by default all that hold numbers.
        frequency: distance between observations, such as `1h`, `1d`, `1mo` or 1; inferred by default.
        missing: `refuse` what is missing, or `mask` it: it then counts neither in training nor in metrics.
        time_zone: the zone of stamps that have none, or several offsets.
        past: exogenous columns that are known up to the last observation.
        future: those that are known ahead; rows behind the last observation, without one, hold what is known.
        static: those that have one value per series.
        categorical: exogenous columns whose numbers are categories; text always is.

    Raises:
        UsageError: a column that is not there, text for numbers, a missing or irregular stamp, two rows of
            one series and stamp, a gap that is not masked; with file, row and column.

    """
    if missing not in ("refuse", "mask"):
        raise UsageError(f"missing must be 'refuse' or 'mask', got {missing!r}")
    table = Table.read(given)
    if time is False:
        table, time = _numbered(table, id)
    time = _column(table, time, _TIMES, "stamps", "time")
    table = _with_zones(table, given, time, time_zone)
    identity = id if id is not None else next((c for c in _IDS if c in table.columns and c != time), None)
    if identity is not None:
        table.column(identity)
    roles = Roles.of(past, future, static, categorical)
    found, clock = stamps(table, time, time_zone)
    chosen = _targets(table, target, {time, identity, *roles.names})
    if identity is None and roles.names and len(chosen) > 1:
        raise UsageError(
            f"exogenous columns need a long table, or one target; {table.source} has {len(chosen)} columns "
            "to forecast"
        )
    if identity is None:
        values = np.concatenate([table.numbers(name) for name in chosen])
        places = np.repeat(np.arange(len(chosen)), len(found))
        rows = np.tile(np.arange(len(found)), len(chosen))
        ids: tuple[Any, ...] = tuple(chosen)
    else:
        if len(chosen) > 1:
            shown = ", ".join(f"'{name}'" for name in chosen[:6])
            raise UsageError(f"{table.source} may be forecast by {shown}; name the column in target")
        ids, places = _codes(table, identity)
        rows, values = np.arange(len(found)), table.numbers(chosen[0])
    given_rows = Rows(table, ids, places, rows, found[rows], values, clock, roles)
    panel = regular(given_rows, frequency, mask=missing == "mask")
    names = (identity or "unique_id", time, "y" if len(chosen) > 1 else chosen[0])
    return replace(panel, names=names)


def _with_zones(table: Table, given: Any, time: str, zone: str) -> Table:
    """Return the table with stamps as text where only the text of a CSV file says what their zone is."""
    kind = table.column(time).dtype
    read_as_utc = kind == nw.Datetime and getattr(kind, "time_zone", None) is not None
    if not table.file or isinstance(given, Table) or not (read_as_utc or (zone and kind == nw.Date)):
        return table
    return Table.read(given, text=(time,))


def _numbered(table: Table, identity: str | None) -> tuple[Table, str]:
    """Return the table with the number of each row, within its series, as its stamp."""
    codes = np.zeros(len(table.frame), np.int64) if identity is None else _codes(table, identity)[1]
    order = np.argsort(codes, kind="stable")
    sorted_codes = codes[order]
    first = np.flatnonzero(np.diff(sorted_codes, prepend=-1))
    number = np.empty(len(codes), np.int64)
    number[order] = np.arange(len(codes)) - np.repeat(first, np.diff(np.append(first, len(codes))))
    name = "ds" if "ds" not in table.columns else "row number"
    column = nw.new_series(name, number, backend=nw.get_native_namespace(table.frame))
    return Table(table.frame.with_columns(column), table.source, table.file), name


def _codes(table: Table, name: str) -> tuple[tuple[Any, ...], np.ndarray]:
    """Return the distinct names of series, in the order they first come, and each row's place among them."""
    column = table.column(name)
    missing = np.flatnonzero(column.is_null().to_numpy())
    if missing.size:
        raise UsageError(f"{table.row(int(missing[0]))}: '{name}' is missing; expected the name of a series")
    values = column.to_list()
    places: dict[Any, int] = {}
    codes = np.fromiter((places.setdefault(value, len(places)) for value in values), np.int64, len(values))
    return tuple(places), codes


def _column(table: Table, named: str | bool | None, usual: Sequence[str], what: str, argument: str) -> str:
    if named is not None:
        table.column(str(named))
        return str(named)
    found = [c for c in table.columns if c.lower() in usual]
    if not found:
        shown = ", ".join(f"'{c}'" for c in table.columns[:8])
        raise UsageError(
            f"{table.source} has no column of {what} named {usual[0]!r} (columns: {shown}); name it in "
            f"{argument}"
        )
    return found[0]


def _targets(table: Table, target: str | Sequence[str] | None, taken: set[str | None]) -> list[str]:
    if target is not None:
        chosen = [target] if isinstance(target, str) else list(target)
        for name in chosen:
            table.column(name)
        return chosen
    if "y" in table.columns:
        return ["y"]
    left = [name for name in table.columns if name not in taken]
    numeric = [name for name in left if table.column(name).dtype.is_numeric()] or left
    if not numeric:
        raise UsageError(f"{table.source} has no column of observations; name it in target")
    return numeric
