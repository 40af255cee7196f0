"""What the baselines share: each series by itself, normal errors that grow with the horizon."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from populace.forecasting.data.panel import Panel
from populace.forecasting.evaluation.quantile_metrics import check_quantiles
from populace.forecasting.forecast import QUANTILES, Forecast, check_horizon
from populace.forecasting.model import ForecastModel, panel_of


@dataclass(frozen=True)
class LocalModel(ForecastModel):
    """A model of one series at a time, which forecasts a mean and a standard deviation for each step."""

    panel: Panel | None = None

    def fit(self, data: Any) -> Self:
        """Keep the history; all is computed when forecasts are asked for."""
        return replace(self, panel=panel_of(data))

    def predict(self, horizon: int, quantiles: Sequence[float] = QUANTILES, *, data: Any = None) -> Forecast:
        """Forecast each series; quantiles are those of a normal distribution."""
        from scipy.special import ndtri

        horizon, levels = check_horizon(horizon), check_quantiles(quantiles)
        panel = self._history(data)
        found = [self.moments(series, horizon, self.season_of(panel)) for series in panel]
        point = np.stack([mean for mean, _ in found])
        deviation = np.stack([np.broadcast_to(sd, (horizon,)) for _, sd in found])
        values = point[..., None] + deviation[..., None] * ndtri(levels)
        return Forecast(panel, point, tuple(levels.tolist()), values, self.name)

    def season_of(self, panel: Panel) -> int:
        """Return how many steps a season has."""
        del panel
        return 1

    @abstractmethod
    def moments(self, history: np.ndarray, horizon: int, season: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean of each step, (horizon,), and its standard deviation.

        Args:
            history: (T,) observations; NaN where one is missing, at least one is not.
            horizon: steps.
            season: of [`season_of`][populace.forecasting.baselines.local.LocalModel.season_of].

        """


@dataclass(frozen=True)
class SeasonalModel(LocalModel):
    """A local model that knows of seasons.

    Attributes:
        season: steps of a season; by default the usual one of the frequency, such as 12 for months.

    """

    season: int | None = None

    def season_of(self, panel: Panel) -> int:
        """Return the season that was given, or that goes with the frequency."""
        from populace.core.errors import UsageError

        if self.season is not None and (isinstance(self.season, bool) or self.season < 1):
            raise UsageError(f"a season must have at least 1 step, got {self.season}")
        return panel.frequency.season if self.season is None else int(self.season)


def residual_deviation(residuals: np.ndarray, parameters: int = 0) -> float:
    """Return `sqrt(sum e^2 / (n - parameters))` of the residuals that are known; 0 where they are too few."""
    known = residuals[~np.isnan(residuals)]
    freedom = len(known) - parameters
    return float(np.sqrt(np.sum(known**2) / freedom)) if freedom > 0 else 0.0
