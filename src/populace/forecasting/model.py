"""What every forecaster does: fit a panel, and predict what comes behind it."""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from populace.core.errors import UsageError
from populace.forecasting.data.panel import Panel
from populace.forecasting.data.read import read
from populace.forecasting.forecast import QUANTILES, Forecast


class ForecastModel(ABC):
    """A model of series.

    `fit` learns from a panel and returns the model; `predict` forecasts behind that panel, or behind another
    one with the same series' later history. Both take anything that
    [`read`][populace.forecasting.data.read.read] does.
    """

    panel: Panel | None = None

    @property
    def name(self) -> str:
        """What the model is called in tables and on the command line."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(self).__name__).lower()

    @abstractmethod
    def fit(self, data: Any) -> Self:
        """Learn from a panel, or a table of one.

        Raises:
            UsageError: data that cannot be learned from.

        """

    @abstractmethod
    def predict(self, horizon: int, quantiles: Sequence[float] = QUANTILES, *, data: Any = None) -> Forecast:
        """Forecast so many steps behind each series.

        Args:
            horizon: how many.
            quantiles: levels between 0 and 1.
            data: history to forecast from, instead of what the model was fitted to.

        Raises:
            UsageError: an unfitted model, a horizon or a level that is none.

        """

    def _history(self, data: Any) -> Panel:
        """Return the panel to forecast from."""
        if data is not None:
            return panel_of(data)
        if self.panel is None:
            raise UsageError(f"{self.name} has not been fitted; call fit first")
        return self.panel


def panel_of(data: Any) -> Panel:
    """Return the panel in a table, in plain arrays, or as it is."""
    if isinstance(data, Panel):
        return data
    if isinstance(data, np.ndarray) or (
        isinstance(data, list) and data and not isinstance(data[0], dict | str)
    ):
        return Panel.of(data)
    return read(data)
