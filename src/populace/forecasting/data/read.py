"""From a table, long or wide, to a panel of regular series."""

from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np

from populace.core.errors import UsageError
from populace.forecasting.data.frequency import Frequency
from populace.forecasting.data.infer_frequency import anchors, infer_frequency
from populace.forecasting.data.panel import Panel
from populace.forecasting.data.stamps import Clock, stamps
from populace.forecasting.data.table import Table

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
    if table.file and not isinstance(given, Table) and not table.column(time).dtype.is_numeric():
        table = Table.read(given, text=(time,))  # the text says whether a stamp has a zone
    identity = id if id is not None else next((c for c in _IDS if c in table.columns and c != time), None)
    if identity is not None:
        table.column(identity)
    found, clock = stamps(table, time, time_zone)
    chosen = _targets(table, target, {time, identity})
    if identity is None:
        columns = [table.numbers(name) for name in chosen]
        ids: tuple[Any, ...] = tuple(chosen)
        codes = np.repeat(np.arange(len(chosen)), len(found))
        rows = np.tile(np.arange(len(found)), len(chosen))
        values = np.concatenate(columns)
        names = ("unique_id", time, "y" if len(chosen) > 1 else chosen[0])
    else:
        if len(chosen) > 1:
            shown = ", ".join(f"'{name}'" for name in chosen[:6])
            raise UsageError(f"{table.source} may be forecast by {shown}; name the column in target")
        ids, codes = _codes(table, identity)
        rows, values = np.arange(len(found)), table.numbers(chosen[0])
        names = (identity, time, chosen[0])
    return _regular(table, ids, codes, rows, found[rows], values, clock, names, frequency, missing)


def _regular(
    table: Table,
    ids: tuple[Any, ...],
    codes: np.ndarray,
    rows: np.ndarray,
    found: np.ndarray,
    values: np.ndarray,
    clock: Clock,
    names: tuple[str, str, str],
    frequency: str | int | Frequency | None,
    missing: str,
) -> Panel:
    """Put rows in order, one step beside the other."""
    order = np.lexsort((found, codes))
    codes, rows, found, values = codes[order], rows[order], found[order], values[order]
    first = np.flatnonzero(np.diff(codes, prepend=-1))
    twice = np.flatnonzero((found[1:] == found[:-1]) & (np.diff(codes) == 0))
    if twice.size:
        i = int(twice[0])
        raise UsageError(
            f"{table.row(int(rows[i + 1]))}: series {ids[codes[i]]!r} has {clock.shown(found[i])} twice "
            "(also "
            f"{table.row(int(rows[i]))}); expected one observation per stamp"
        )
    local = clock.local(found)
    step = infer_frequency(found, local, first) if frequency is None else Frequency.parse(frequency)
    if (step.kind == "integer") != (found.dtype.kind != "M"):
        kind = "whole numbers" if clock.kind == "integer" else "dates"
        raise UsageError(f"the frequency {step} does not fit stamps that are {kind}")
    anchor = anchors(local, first)
    series = np.cumsum(np.diff(codes, prepend=-1) != 0) - 1
    counted = local if step.calendar else found
    place, regular = step.index(counted[first][series], counted, anchor[series])
    if not regular.all():
        i = int(np.argmin(regular))
        raise UsageError(
            f"{table.row(int(rows[i]))}: {clock.shown(found[i])} of series {ids[codes[i]]!r} is not a "
            "whole number of "
            f"steps of {step} after {clock.shown(found[first[series[i]]])}; expected regular stamps"
        )
    lengths = np.maximum.reduceat(place, first) + 1
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    _check_gaps(table, ids, codes, rows, found, place, values, clock, missing, first, offsets)
    whole = np.full(offsets[-1], np.nan)
    whole[offsets[:-1][series] + place] = values
    present = tuple(ids[code] for code in codes[first])
    return Panel(present, whole, offsets, found[first], anchor, step, clock, names)


def _check_gaps(
    table: Table,
    ids: tuple[Any, ...],
    codes: np.ndarray,
    rows: np.ndarray,
    found: np.ndarray,
    place: np.ndarray,
    values: np.ndarray,
    clock: Clock,
    missing: str,
    first: np.ndarray,
    offsets: np.ndarray,
) -> None:
    """Refuse observations that are missing and not masked, series without any, and very sparse panels."""
    if offsets[-1] > 100 * len(values) + 1_000_000:
        raise UsageError(
            f"{len(values):,} rows would fill {offsets[-1]:,} steps; expected stamps closer together, or a "
            "longer frequency"
        )
    if missing == "refuse":
        gaps = np.flatnonzero((np.diff(place) != 1) & (np.diff(codes) == 0))
        if gaps.size:
            i = int(gaps[0])
            raise UsageError(
                f"{table.source}: series {ids[codes[i]]!r} has no observation after "
                f"{clock.shown(found[i])} until {clock.shown(found[i + 1])} (gaps in all: "
                f"{gaps.size:,}); missing='mask' leaves them out of training and metrics"
            )
        bad = np.flatnonzero(np.isnan(values))
        if bad.size:
            i = int(bad[0])
            raise UsageError(
                f"{table.row(int(rows[i]))}: series {ids[codes[i]]!r} has no observation at "
                f"{clock.shown(found[i])} (missing in all: {bad.size:,}); missing='mask' leaves them "
                "out of training and metrics"
            )
    empty = np.flatnonzero(np.add.reduceat(~np.isnan(values), first) == 0)
    if empty.size:
        raise UsageError(
            f"series {ids[codes[first[empty[0]]]]!r} of {table.source} has no observation at all"
        )


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
