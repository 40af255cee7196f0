"""From rows in any order to regular series, one step beside the other; and what of them is refused."""

import numpy as np

from populace.core.errors import UsageError
from populace.forecasting.data.exogenous import Exogenous
from populace.forecasting.data.exogenous_columns import exogenous_columns
from populace.forecasting.data.panel import Panel
from populace.forecasting.data.rows import Rows
from populace.forecasting.data.time.frequency import Frequency
from populace.forecasting.data.time.infer_frequency import anchors, infer_frequency


def regular(rows: Rows, frequency: str | int | Frequency | None, *, mask: bool) -> Panel:
    """Return the panel of the rows; its columns have the usual names.

    Args:
        rows: observations.
        frequency: distance between observations; inferred by default.
        mask: accept missing observations.

    Raises:
        UsageError: two rows of one series and stamp, an irregular stamp, what is missing and not masked, a
            series without any observation.

    """
    rows = rows.sorted()
    inner = np.diff(rows.series, prepend=-1) == 0
    first = np.flatnonzero(~inner)
    _refuse_twice(rows, inner)
    empty = np.flatnonzero(np.add.reduceat(~np.isnan(rows.values), first) == 0)
    if empty.size:
        name = rows.name(int(first[empty[0]]))
        raise UsageError(f"series {name} of {rows.table.source} has no observation at all")
    step, place, anchor = _counted(rows, inner, frequency)
    lengths = np.maximum.reduceat(place, first) + 1
    if lengths.sum() > 100 * len(place) + 1_000_000:
        raise UsageError(
            f"{len(place):,} rows would fill {lengths.sum():,} steps; expected stamps closer together, or a "
            "longer frequency"
        )
    exogenous = Exogenous()
    if rows.roles.names:
        ahead = _ahead(rows, inner, first) & bool(rows.roles.future)
        known = np.maximum.reduceat(np.where(ahead, -1, place), first) + 1
        exogenous = exogenous_columns(rows, first, place, _offsets(lengths), known)
        rows, place, inner, lengths = rows.take(~ahead), place[~ahead], inner[~ahead], known
        first = np.flatnonzero(~inner)
    if not mask:
        _refuse_missing(rows, np.flatnonzero(inner & (np.diff(place, prepend=0) != 1)))
    offsets = _offsets(lengths)
    values = np.full(offsets[-1], np.nan)
    values[offsets[np.cumsum(~inner) - 1] + place] = rows.values
    ids = tuple(rows.ids[code] for code in rows.series[first])
    return Panel(ids, values, offsets, rows.stamps[first], anchor, step, rows.clock, exogenous=exogenous)


def _counted(
    rows: Rows, inner: np.ndarray, frequency: str | int | Frequency | None
) -> tuple[Frequency, np.ndarray, np.ndarray]:
    """Return the frequency, the step of each row from the start of its series, and the anchors."""
    first, found, clock = np.flatnonzero(~inner), rows.stamps, rows.clock
    local = clock.local(found)
    step = infer_frequency(found, local, first) if frequency is None else Frequency.parse(frequency)
    if (step.kind == "integer") != (found.dtype.kind != "M"):
        kind = "whole numbers" if clock.kind == "integer" else "dates"
        raise UsageError(f"the frequency {step} does not fit stamps that are {kind}")
    anchor = anchors(local, first)
    series = np.cumsum(~inner) - 1
    counted = local if step.calendar else found
    place, whole = step.index(counted[first][series], counted, anchor[series])
    if not whole.all():
        i = int(np.argmin(whole))
        raise UsageError(
            f"{rows.row(i)}: {rows.stamp(i)} of series {rows.name(i)} is not a whole number of steps of "
            f"{step} after {rows.stamp(int(first[series[i]]))}; expected regular stamps"
        )
    return step, place, anchor


def _offsets(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)])


def _ahead(rows: Rows, inner: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return which rows lie behind the last observation of their series: they tell of the future alone."""
    places = np.arange(len(inner))
    last = np.maximum.reduceat(np.where(np.isnan(rows.values), -1, places), first)
    return places > last[np.cumsum(~inner) - 1]


def _refuse_twice(rows: Rows, inner: np.ndarray) -> None:
    twice = np.flatnonzero(inner[1:] & (rows.stamps[1:] == rows.stamps[:-1]))
    if twice.size:
        i = int(twice[0])
        raise UsageError(
            f"{rows.row(i + 1)}: series {rows.name(i)} has {rows.stamp(i)} twice (also {rows.row(i)}); "
            "expected one observation per stamp"
        )


def _clocks_may_change(rows: Rows, i: int) -> bool:
    """Return whether what lacks before a row may be an hour that local clocks never showed."""
    stamps = rows.stamps
    if stamps.dtype.kind != "M" or rows.clock.zone:
        return False
    hours = (stamps[i] - stamps[i - 1]) / np.timedelta64(1, "h")
    return 1 < hours <= 2


def _refuse_missing(rows: Rows, gaps: np.ndarray) -> None:
    """Refuse steps between rows that have no row, and rows without an observation."""
    advice = "missing='mask' (--mask) leaves them out of training and metrics"
    if gaps.size:
        i = int(gaps[0])
        if _clocks_may_change(rows, i):
            advice += "; if clocks changed there, name the zone in time_zone (--time-zone)"
        raise UsageError(
            f"{rows.table.source}: series {rows.name(i)} has no observation after {rows.stamp(i - 1)} until "
            f"{rows.stamp(i)} (gaps in all: {gaps.size:,}); {advice}"
        )
    bad = np.flatnonzero(np.isnan(rows.values))
    if bad.size:
        i = int(bad[0])
        raise UsageError(
            f"{rows.row(i)}: series {rows.name(i)} has no observation at {rows.stamp(i)} (missing in all: "
            f"{bad.size:,}); {advice}"
        )
