"""Learning curves: one curve with an interval per setting, from the metric tables."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from populace.report.entries import floor_of
from populace.report.runs import Reading
from populace.statistics import Floats, bootstrap_interval, interquartile_mean

# More points would not be visible, and each point of a band costs a bootstrap.
POINTS = 80
IDENTITY = {"step", "units", "member", "setting", "seed"}


@dataclass(frozen=True)
class Grid:
    """One metric over time: `values` is `(members, points)`, NaN if not measured; `members` ascend."""

    units: Floats
    steps: Floats
    members: NDArray[np.int64]
    values: Floats

    def rows(self, members: Sequence[int]) -> Floats:
        """Return the rows of some members, `(len(members), points)`; do not change them."""
        if np.array_equal(self.members, members):
            return self.values  # a population of one setting: no copy
        places = np.searchsorted(self.members, members)
        there = places < len(self.members)
        there[there] = self.members[places[there]] == np.asarray(members)[there]
        return self.values[places[there]]

    def thinned(self, points: int = POINTS) -> "Grid":
        """Return at most the given number of points, evenly spaced and including the last one."""
        if len(self.units) <= points:
            return self
        kept = np.unique(np.linspace(0, len(self.units) - 1, points).round().astype(int))
        return Grid(self.units[kept], self.steps[kept], self.members, self.values[:, kept])


@dataclass(frozen=True)
class Curve:
    """A value with its interval at each point; NaN if no member was measured there."""

    units: Floats
    value: Floats
    low: Floats
    high: Floats


def grid(table: pa.Table, metric: str) -> Grid | None:
    """Arrange one metric of a table by member and time; None if it was never measured."""
    names = table.column_names
    if not table.num_rows or not {"step", "member", metric} <= set(names):
        return None
    common = _in_turn(table)
    values = _column(table, metric).astype(np.float64)
    values[~np.isfinite(values)] = np.nan
    if np.isnan(values).all():
        return None
    if common is not None:
        units, steps, members = common
        return Grid(units, steps, members, values.reshape(-1, len(members)).T)
    steps, column = np.unique(_column(table, "step").astype(float), return_inverse=True)
    members, row = np.unique(_column(table, "member").astype(np.int64), return_inverse=True)
    spread = np.full((len(members), len(steps)), np.nan)
    spread[row, column] = values
    units = steps.copy()
    if "units" in names:
        units[column] = _column(table, "units")
    return Grid(units, steps, members, spread)


def _in_turn(table: pa.Table) -> tuple[Floats, Floats, NDArray[np.int64]] | None:
    """Return units, steps and members of a table that has the same members in the same order at every step.

    Tables of a run have, and need no sorting: that of many members would take more memory than they do.
    """
    step, member = _column(table, "step"), _column(table, "member")
    count = int(np.argmax(step != step[0])) or len(step)
    if len(step) % count:
        return None
    step, member = step.reshape(-1, count), member.reshape(-1, count)
    ascend = (np.diff(step[:, 0]) > 0).all() and (np.diff(member[0]) > 0).all()
    if not (ascend and (step == step[:, :1]).all() and (member == member[0]).all()):
        return None
    steps, members = step[:, 0].astype(float), member[0].astype(np.int64)
    if "units" not in table.column_names:
        return steps, steps, members
    return _column(table, "units")[count - 1 :: count].astype(float), steps, members


def score_grid(reading: Reading) -> Grid | None:
    """Return the score over training; a diverged member counts as its setting's floor."""
    metric = reading.results["score"]["name"]
    found = grid(reading.evaluation, metric) or grid(reading.train, metric)
    if found is None:
        return None
    return with_floors(found.thinned(), reading, metric)


def with_floors(found: Grid, reading: Reading, metric: str) -> Grid:
    """Return the grid with the floor of its setting from where a member diverged, if there is a floor."""
    values, settings = found.values.copy(), {entry["setting"]: entry for entry in reading.settings}
    ended = {m["member"]: m for m in reading.members if m.get("diverged_at") is not None}
    for row in np.flatnonzero(np.isin(found.members, list(ended))):
        member = ended[int(found.members[row])]
        floor = floor_of(settings[member["setting"]], metric)
        values[row, found.steps >= member["diverged_at"]] = math.nan if floor is None else floor
    return Grid(found.units, found.steps, found.members, values)


def setting_curve(found: Grid, entry: dict[str, Any], *, band: bool = True) -> Curve:
    """Return the interquartile mean of a setting's members over time, with its 95 % interval."""
    rows = found.rows(entry["members"])
    if per_step := entry.get("units_per_step"):  # a swept batch size: settings differ in it
        found = Grid(found.steps * float(per_step), found.steps, found.members, found.values)
    value = np.full(len(found.units), np.nan)
    low, high = value.copy(), value.copy()
    if not band and np.isfinite(rows).all() and rows.size:
        value = np.asarray(interquartile_mean(rows, axis=0))
        return Curve(found.units, value, value, value)
    for point in range(len(found.units)):
        scores = rows[:, point]
        scores = scores[np.isfinite(scores)]
        if not len(scores):
            continue
        if band and len(scores) > 1:
            interval = bootstrap_interval(scores)
            value[point], low[point], high[point] = interval.value, interval.low, interval.high
        else:
            value[point] = low[point] = high[point] = interquartile_mean(scores)
    return Curve(found.units, value, low, high)


def metrics_of(table: pa.Table) -> list[str]:
    """Return the metrics in a table: its numeric columns except identifiers and times."""
    return [
        field.name
        for field in table.schema
        if field.name not in IDENTITY
        and (pa.types.is_floating(field.type) or pa.types.is_integer(field.type))
    ]


def _column(table: pa.Table, name: str) -> NDArray[Any]:
    """Return a column as it is. Arrow would join its parts in memory that it keeps."""
    return np.concatenate([part.to_numpy(zero_copy_only=False) for part in table.column(name).chunks])
