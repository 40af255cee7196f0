"""What the baselines share: each series by itself, normal errors that grow with the horizon."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from populace.core.errors import UsageError
from populace.forecasting.data.given_panel import panel_of
from populace.forecasting.data.panel import Panel
from populace.forecasting.evaluation.quantile_metrics import check_quantiles
from populace.forecasting.forecast import QUANTILES, Forecast, check_horizon
from populace.forecasting.model import ForecastModel

_OBSERVATIONS = 1_000_000  # of a group that is computed at once


@dataclass(frozen=True)
class Moments:
    """What a model says of n series.

    Attributes:
        mean: (n, horizon).
        deviation: (n, horizon) standard deviations.
        logged: (n,) whether both are of the logarithm of a series; by default of none.

    """

    mean: np.ndarray
    deviation: np.ndarray
    logged: np.ndarray | None = None


@dataclass(frozen=True)
class LocalModel(ForecastModel):
    """A model of one series at a time, which forecasts a mean and a standard deviation for each step."""

    panel: Panel | None = None

    def fit(self, data: Any) -> Self:
        """Keep the history; all is computed when forecasts are asked for."""
        return replace(self, panel=panel_of(data))

    def predict(self, horizon: int, quantiles: Sequence[float] = QUANTILES, *, data: Any = None) -> Forecast:
        """Forecast each series; quantiles are those of a normal distribution, or a lognormal one.

        The point forecast is the median, which is the mean of all but lognormal ones.
        """
        from scipy.special import ndtri

        horizon, levels = check_horizon(horizon), check_quantiles(quantiles)
        panel = self._history(data)
        season = self.season_of(panel)
        point = np.empty((len(panel), horizon))
        values = np.empty((len(panel), horizon, len(levels)))
        for chosen, history in _groups(panel):
            found = self.moments(history, horizon, season)
            spread = found.deviation[..., None] * ndtri(levels)
            center, ends = found.mean, found.mean[..., None] + spread
            if found.logged is not None:
                center = np.where(found.logged[:, None], _exp(center), center)
                ends = np.where(found.logged[:, None, None], _exp(ends), ends)
            point[chosen], values[chosen] = center, ends
        return Forecast(panel, point, tuple(levels.tolist()), values, self.name)

    def season_of(self, panel: Panel) -> int:
        """Return how many steps a season has."""
        del panel
        return 1

    @abstractmethod
    def moments(self, history: np.ndarray, horizon: int, season: int) -> Moments:
        """Return the mean and the standard deviation of each step.

        Args:
            history: (n, T) observations; NaN where one is missing, at least one of each series is not.
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
        if self.season is not None and (isinstance(self.season, bool) or self.season < 1):
            raise UsageError(f"a season must have at least 1 step, got {self.season}")
        return panel.frequency.season if self.season is None else int(self.season)


def residual_deviation(residuals: np.ndarray, parameters: int = 0) -> np.ndarray:
    """Return `sqrt(sum e^2 / (m - parameters))` of the m residuals that are known, (n, 1) of (n, R).

    0 where they are too few.
    """
    known = ~np.isnan(residuals)
    freedom = known.sum(1) - parameters
    squared = np.where(known, residuals, 0.0) ** 2
    return np.sqrt(np.where(freedom > 0, squared.sum(1) / np.maximum(freedom, 1), 0.0))[:, None]


def interpolated(history: np.ndarray) -> np.ndarray:
    """Return series with what is missing on the line between its neighbours, or as the nearest one."""
    filled = history
    for i in np.flatnonzero(np.isnan(history).any(1)):
        filled = filled.copy() if filled is history else filled
        known = np.flatnonzero(~np.isnan(history[i]))
        filled[i] = np.interp(np.arange(history.shape[1]), known, history[i, known])
    return filled


def _groups(panel: Panel) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the places and histories (n, T) of series of one length, as many as fit."""
    found = []
    for length in np.unique(panel.lengths):
        alike = np.flatnonzero(panel.lengths == length)
        for chosen in np.array_split(alike, -(-len(alike) * int(length) // _OBSERVATIONS)):
            places = panel.offsets[chosen][:, None] + np.arange(length)
            found.append((chosen, panel.values[places]))
    return found


def _exp(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.exp(values)
