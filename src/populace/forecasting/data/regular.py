"""From rows in any order to regular series, one step beside the other; and what of them is refused."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from populace.core.errors import UsageError
from populace.forecasting.data.frequency import Frequency
from populace.forecasting.data.infer_frequency import anchors, infer_frequency
from populace.forecasting.data.panel import Panel
from populace.forecasting.data.stamps import Clock
from populace.forecasting.data.table import Table


@dataclass(frozen=True)
class Rows:
    """Observations of several series, in any order.

    Attributes:
        table: where they come from, for messages.
        ids: names of the series.
        series: (N,) the place of each observation's series in `ids`.
        rows: (N,) its row in the table.
        stamps: (N,) int64, or datetime64[us] in UTC.
        values: (N,) float64; NaN where one is missing.
        clock: how stamps are written.

    """

    table: Table
    ids: tuple[Any, ...]
    series: np.ndarray
    rows: np.ndarray
    stamps: np.ndarray
    values: np.ndarray
    clock: Clock

    def sorted(self) -> "Rows":
        """Return the observations series by series, each from its first stamp to its last."""
        order = np.lexsort((self.stamps, self.series))
        return Rows(
            self.table, self.ids, self.series[order], self.rows[order], self.stamps[order],
            self.values[order], self.clock,
        )  # fmt: skip

    def row(self, i: int) -> str:
        """Return what the row of an observation is called."""
        return self.table.row(int(self.rows[i]))

    def name(self, i: int) -> str:
        """Return the name of an observation's series."""
        return repr(self.ids[self.series[i]])

    def stamp(self, i: int) -> str:
        """Return an observation's stamp as it was written."""
        return self.clock.shown(self.stamps[i])


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
    found, clock = rows.stamps, rows.clock
    inner = np.diff(rows.series, prepend=-1) == 0
    first = np.flatnonzero(~inner)
    _refuse_twice(rows, inner)
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
    offsets = np.concatenate([[0], np.cumsum(np.maximum.reduceat(place, first) + 1)])
    if offsets[-1] > 100 * len(found) + 1_000_000:
        raise UsageError(
            f"{len(found):,} rows would fill {offsets[-1]:,} steps; expected stamps closer together, or a "
            "longer frequency"
        )
    if not mask:
        _refuse_missing(rows, np.flatnonzero(inner & (np.diff(place, prepend=0) != 1)))
    empty = np.flatnonzero(np.add.reduceat(~np.isnan(rows.values), first) == 0)
    if empty.size:
        name = rows.name(int(first[empty[0]]))
        raise UsageError(f"series {name} of {rows.table.source} has no observation at all")
    values = np.full(offsets[-1], np.nan)
    values[offsets[:-1][series] + place] = rows.values
    present = tuple(rows.ids[code] for code in rows.series[first])
    return Panel(present, values, offsets, found[first], anchor, step, clock)


def _refuse_twice(rows: Rows, inner: np.ndarray) -> None:
    twice = np.flatnonzero(inner[1:] & (rows.stamps[1:] == rows.stamps[:-1]))
    if twice.size:
        i = int(twice[0])
        raise UsageError(
            f"{rows.row(i + 1)}: series {rows.name(i)} has {rows.stamp(i)} twice (also {rows.row(i)}); "
            "expected one observation per stamp"
        )


def _refuse_missing(rows: Rows, gaps: np.ndarray) -> None:
    """Refuse steps between rows that have no row, and rows without an observation."""
    advice = "missing='mask' leaves them out of training and metrics"
    if gaps.size:
        i = int(gaps[0])
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
