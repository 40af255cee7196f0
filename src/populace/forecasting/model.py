"""What every forecaster does: fit a panel, and predict what comes behind it."""

import dataclasses
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, cast

from populace.core.errors import UsageError
from populace.forecasting.data.extend import extended
from populace.forecasting.data.given_panel import panel_of
from populace.forecasting.data.panel import Panel
from populace.forecasting.evaluation.backtest import Backtest, backtest
from populace.forecasting.forecast import QUANTILES, Forecast
from populace.forecasting.saving import save


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

    def update(self, data: Any, *, refit: bool = False) -> Self:
        """Return the model with new observations, which it forecasts behind from now on.

        Args:
            data: what came behind the panel that was fitted, or all of it again with what came; series of the
                same names.
            refit: learn from all of it anew, too. New series need that.

        Raises:
            UsageError: an unfitted model, a gap before the new observations, known ones that have changed.

        """
        panel = extended(self._history(None), panel_of(data))
        if refit:
            return self.fit(panel)
        if self.panel is not None and len(panel) > len(self.panel):
            new = panel.ids[len(self.panel)]
            raise UsageError(f"series {new!r} was not fitted; give refit=True, or leave it out")
        return self._continued_with(panel)

    def _continued_with(self, panel: Panel) -> Self:
        """Return the model behind a longer panel of the same series."""
        return dataclasses.replace(cast(Any, self), panel=panel)

    def cross_validation(self, data: Any, horizon: int | None = None, **how: Any) -> Backtest:
        """Return a [`backtest`][populace.forecasting.backtest] of the model; it stays as it is.

        Args:
            data: a panel, or a table of one.
            horizon: steps; by default the model's own, if it has one.
            how: further arguments of the backtest, such as `windows` and `step`.

        Raises:
            UsageError: no horizon, or what a backtest refuses.

        """
        horizon = horizon if horizon is not None else getattr(self, "horizon", None)
        if horizon is None:
            raise UsageError(f"{self.name} has no horizon of its own; give cross_validation a horizon")
        return backtest(self, data, horizon, **how)

    def save(self, path: str | Path) -> Path:
        """Write the model, and the history it forecasts from, to a file that `load` reads.

        Raises:
            UsageError: something in it that cannot be saved, such as a network of one's own.

        """
        return save(self, path)

    def _history(self, data: Any) -> Panel:
        """Return the panel to forecast from."""
        if data is not None:
            return panel_of(data)
        if self.panel is None:
            raise UsageError(f"{self.name} has not been fitted; call fit first")
        return self.panel
