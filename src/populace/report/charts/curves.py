"""Learning curves: one curve with an interval per setting, from the metric tables."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from populace.report.runs import Reading, floor_of
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
        """Return the rows of some members, `(len(members), points)`."""
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
    values = _floats(table, metric)
    if not np.isfinite(values).any():
        return None
    step, member = _floats(table, "step"), _floats(table, "member").astype(int)
    steps, column = np.unique(step, return_inverse=True)
    members, row = np.unique(member, return_inverse=True)
    spread = np.full((len(members), len(steps)), np.nan)
    spread[row, column] = np.where(np.isfinite(values), values, np.nan)
    units = steps.copy()
    if "units" in names:
        units[column] = _floats(table, "units")
    return Grid(units, steps, members, spread)


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


def _floats(table: pa.Table, name: str) -> Floats:
    column = table.column(name).combine_chunks().cast(pa.float64())
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
