"""Forecast: quantiles per series and step, with stamps as they were given."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from populace.core.errors import UsageError
from populace.forecasting.data.panel import Panel

QUANTILES = (0.05, 0.1, 0.5, 0.9, 0.95)
"""Levels of the quantiles that are forecast unless others are asked for."""


@dataclass(frozen=True)
class Forecast:
    """What comes behind each series of a panel.

    Attributes:
        panel: the history that was forecast from.
        point: (n, horizon) one number per series and step; what it estimates is the model's affair: the mean,
            or the median.
        quantiles: levels, ascending.
        values: (n, horizon, Q) the quantiles, ascending along the last axis.
        model: the model's name.

    """

    panel: Panel
    point: np.ndarray
    quantiles: tuple[float, ...]
    values: np.ndarray
    model: str = "forecast"

    def __post_init__(self) -> None:
        expected = (*self.point.shape, len(self.quantiles))
        if self.values.shape != expected or len(self.point) != len(self.panel):
            raise UsageError(f"quantiles must have the shape {expected}, got {self.values.shape}")

    @property
    def horizon(self) -> int:
        """How many steps are forecast."""
        return self.point.shape[1]

    def quantile(self, level: float) -> np.ndarray:
        """Return the quantile of a level, (n, horizon).

        Raises:
            UsageError: it was not forecast.

        """
        for i, q in enumerate(self.quantiles):
            if abs(q - level) < 1e-9:
                return self.values[..., i]
        known = ", ".join(f"{q:g}" for q in self.quantiles)
        raise UsageError(
            f"the quantile {level:g} was not forecast (those are {known}); ask for it in quantiles"
        )

    def columns(self) -> dict[str, Any]:
        """Return the table of forecasts, a row per series and step, as columns by name."""
        panel = self.panel
        identity, time, _ = panel.names
        ends = panel.ends(self.horizon).reshape(-1)
        repeated = np.repeat(np.arange(len(panel)), self.horizon)
        table: dict[str, Any] = {
            identity: [panel.ids[i] for i in repeated],
            time: panel.clock.written(ends),
            self.model: self.point.reshape(-1),
        }
        for i, q in enumerate(self.quantiles):
            table[f"{self.model}-q{100 * q:g}"] = self.values[..., i].reshape(-1)
        return table

    def arrow(self) -> Any:
        """Return the table of forecasts as a `pyarrow.Table`; stamps are of the type and zone given."""
        import pyarrow as pa

        columns = self.columns()
        name, clock = self.panel.names[1], self.panel.clock
        kinds = {
            "integer": pa.int64(),
            "date": pa.date32(),
            "datetime": pa.timestamp("us", clock.zone or None),
        }
        columns[name] = pa.array(columns[name], kinds[clock.kind])
        return pa.table(columns)

    def to_pandas(self) -> Any:
        """Return the table of forecasts as a `pandas.DataFrame`, which needs pandas."""
        return self.arrow().to_pandas()

    def write(self, path: str | Path) -> Path:
        """Write the table of forecasts to a `.parquet` or `.csv`, whole or not at all.

        Raises:
            UsageError: another ending.

        """
        import pyarrow as pa
        import pyarrow.csv
        import pyarrow.parquet

        from populace.core import files

        path = Path(path)
        if path.suffix not in (".parquet", ".csv"):
            raise UsageError(f"{path.name} ends in '{path.suffix}'; expected .parquet or .csv")
        buffer = pa.BufferOutputStream()
        if path.suffix == ".parquet":
            pyarrow.parquet.write_table(self.arrow(), buffer)
        else:
            pyarrow.csv.write_csv(self.arrow(), buffer)
        files.write(path, buffer.getvalue().to_pybytes())
        return path

    def __repr__(self) -> str:
        levels = ", ".join(f"{q:g}" for q in self.quantiles)
        return f"Forecast({self.model}: {len(self.panel):,} series, {self.horizon} steps, quantiles {levels})"


def check_horizon(horizon: int) -> int:
    """Return a horizon.

    Raises:
        UsageError: no whole number, or below 1.

    """
    if isinstance(horizon, bool) or not isinstance(horizon, int | np.integer) or horizon < 1:
        raise UsageError(f"the horizon must be a whole number of steps, at least 1, got {horizon!r:.40}")
    return int(horizon)
