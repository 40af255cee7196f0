"""Observations as a table has them, in any order, and how each is called in a message."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from populace.forecasting.data.exogenous import Roles
from populace.forecasting.data.table import Table
from populace.forecasting.data.time.stamps import Clock


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
        roles: which columns of the table are exogenous.

    """

    table: Table
    ids: tuple[Any, ...]
    series: np.ndarray
    rows: np.ndarray
    stamps: np.ndarray
    values: np.ndarray
    clock: Clock
    roles: Roles = field(default_factory=Roles)

    def sorted(self) -> "Rows":
        """Return the observations series by series, each from its first stamp to its last."""
        return self.take(np.lexsort((self.stamps, self.series)))

    def take(self, chosen: np.ndarray) -> "Rows":
        """Return some of the observations."""
        parts = (self.series[chosen], self.rows[chosen], self.stamps[chosen], self.values[chosen])
        return Rows(self.table, self.ids, *parts, self.clock, self.roles)

    def row(self, i: int) -> str:
        """Return what the row of an observation is called."""
        return self.table.row(int(self.rows[i]))

    def name(self, i: int) -> str:
        """Return the name of an observation's series."""
        return repr(self.ids[self.series[i]])

    def stamp(self, i: int) -> str:
        """Return an observation's stamp as it was written."""
        return self.clock.shown(self.stamps[i])
