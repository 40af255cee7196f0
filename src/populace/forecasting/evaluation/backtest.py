"""Rolling-origin backtests: forecasts from several cutoffs, none of which sees what comes after it.

Source: L. J. Tashman (2000), Out-of-sample tests of forecasting accuracy, International Journal
of Forecasting 16.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, Self

import numpy as np

from populace.core.errors import UsageError
from populace.forecasting.data.given_panel import panel_of
from populace.forecasting.data.panel import Panel
from populace.forecasting.evaluation import point_metrics as point
from populace.forecasting.evaluation import quantile_metrics as spread
from populace.forecasting.forecast import QUANTILES, Forecast, check_horizon


class Fits(Protocol):
    """What a backtest needs of a model: [`ForecastModel`][populace.forecasting.ForecastModel] has it."""

    def fit(self, data: Any) -> Self:
        """Learn from a panel."""
        ...

    def update(self, data: Any) -> Self:
        """Take the panel with later history."""
        ...

    def predict(self, horizon: int, quantiles: Sequence[float] = ..., *, data: Any = None) -> Forecast:
        """Forecast behind a panel."""
        ...


@dataclass(frozen=True)
class Backtest:
    """Forecasts of one model from several cutoffs beside what was observed.

    Attributes:
        panel: all that is known.
        cutoffs: (W,) how many steps before the end of each series the windows' histories end.
        forecasts: one per window.
        actual: (W, n, horizon) what was observed; NaN where it is missing.
        season: steps of a season, for the scaled errors.

    """

    panel: Panel
    cutoffs: tuple[int, ...]
    forecasts: tuple[Forecast, ...]
    actual: np.ndarray
    season: int

    @property
    def model(self) -> str:
        """The model's name."""
        return self.forecasts[0].model

    @property
    def point(self) -> np.ndarray:
        """(W, n, horizon) point forecasts."""
        return np.stack([forecast.point for forecast in self.forecasts])

    @property
    def values(self) -> np.ndarray:
        """(W, n, horizon, Q) quantiles."""
        return np.stack([forecast.values for forecast in self.forecasts])

    @property
    def quantiles(self) -> tuple[float, ...]:
        """The quantiles' levels."""
        return self.forecasts[0].quantiles

    def window(self, chosen: slice) -> "Backtest":
        """Return the backtest of some of its windows."""
        return replace(
            self, cutoffs=self.cutoffs[chosen], forecasts=self.forecasts[chosen], actual=self.actual[chosen]
        )

    def scales(self, *, squared: bool = False) -> np.ndarray:
        """Return what scales the errors of each window, (W, n), by its history alone."""
        return np.stack([_scales(f.panel, self.season, squared=squared) for f in self.forecasts])

    def metrics(self) -> dict[str, np.ndarray]:
        """Return errors by name, each (W, n): one number per window and series.

        `coverage` and `width` and `winkler` are of the central interval between the outermost quantiles;
        they are left out where only one quantile, or no pair about the median, was forecast.
        """
        actual, forecast = self.actual, self.point
        found = {
            "MAE": point.mae(actual, forecast),
            "MSE": point.mse(actual, forecast),
            "RMSE": point.rmse(actual, forecast),
            "MAPE": point.mape(actual, forecast),
            "sMAPE": point.smape(actual, forecast),
            "MASE": point.mase(actual, forecast, self.scales()),
            "RMSSE": point.rmsse(actual, forecast, self.scales(squared=True)),
            "pinball": spread.mean_pinball(actual, self.values, self.quantiles),
        }
        for low, high in intervals(self.quantiles)[:1]:
            level = self.quantiles[high] - self.quantiles[low]
            ends = self.values[..., low], self.values[..., high]
            found |= {
                f"coverage of {100 * level:g} %": spread.coverage(actual, *ends),
                "width": spread.width(actual, *ends),
                "Winkler": spread.winkler(actual, *ends, level),
            }
        return found

    def summary(self) -> dict[str, float]:
        """Return the mean of each metric over windows and series that have one, and WQL over all together."""
        table = {name: _mean(values) for name, values in self.metrics().items()}
        return table | {"WQL": self.wql()}

    def wql(self) -> float:
        """Return the weighted quantile loss over all windows and series together."""
        return spread.wql(self.actual, self.values, self.quantiles)

    def calibration(self) -> dict[float, float]:
        """Return the share of observations at or below each quantile, by its level."""
        known = ~np.isnan(self.actual)
        below = self.actual[..., None] <= self.values
        return {q: float(below[..., i][known].mean()) for i, q in enumerate(self.quantiles)}


def backtest(
    model: Fits,
    data: Any,
    horizon: int,
    *,
    windows: int = 1,
    step: int | None = None,
    gap: int = 0,
    history: int | None = None,
    refit: bool | Literal["update"] = True,
    season: int | None = None,
    quantiles: Sequence[float] = QUANTILES,
) -> Backtest:
    """Forecast the end of each series from earlier cutoffs, and compare with what came.

    The last window ends with the series. A window's forecast is made from a copy of the panel in which
    nothing behind its cutoff is left, so that it cannot depend on it.

    Args:
        model: what forecasts.
        data: a panel, or a table of one.
        horizon: steps of a forecast.
        windows: how many cutoffs.
        step: steps between cutoffs; by default the horizon, so that windows do not overlap.
        gap: steps between the history and the first step that is forecast and compared.
        history: how many steps before the cutoff are known (a sliding window); by default all (expanding).
        refit: fit at each cutoff; otherwise at the first one alone, and forecast from newer history; with
            `update` the model is updated with it, which fits nothing, but lets conformal errors follow.
        season: steps of a season, for the scaled errors; by default that of the frequency.
        quantiles: levels.

    Raises:
        UsageError: no room for so many windows in a series, which is named with its length.

    """
    panel, horizon = panel_of(data), check_horizon(horizon)
    step = horizon if step is None else check_horizon(step)
    if windows < 1 or gap < 0 or (history is not None and history < 1):
        raise UsageError(
            f"windows and history must be at least 1 and gap at least 0, got {windows}, {history}, {gap}"
        )
    cutoffs = tuple(gap + horizon + step * i for i in reversed(range(windows)))
    short = np.flatnonzero(panel.lengths <= cutoffs[0])
    if short.size:
        worst = int(short[np.argmin(panel.lengths[short])])
        raise UsageError(
            f"series {panel.ids[worst]!r} has {panel.lengths[worst]:,} observations, and {windows:,} "
            f"windows need at least {cutoffs[0] + 1:,} ({short.size:,} of {len(panel):,} series are too "
            "short); give fewer windows, a shorter horizon, or leave these series out"
        )
    fitted, forecasts, actual = model, [], []
    for i, cutoff in enumerate(cutoffs):
        known = _window(panel, cutoff, history)
        if i == 0 or refit is True:
            fitted = model.fit(known)
        elif refit == "update":
            fitted = fitted.update(known)
        forecast = fitted.predict(gap + horizon, quantiles, data=known)
        forecasts.append(_behind(forecast, gap))
        ends = panel.offsets[1:] - cutoff + gap
        actual.append(panel.values[ends[:, None] + np.arange(horizon)])
    found = panel.frequency.season if season is None else season
    return Backtest(panel, cutoffs, tuple(forecasts), np.stack(actual), found)


def intervals(quantiles: Sequence[float]) -> list[tuple[int, int]]:
    """Return the places of pairs of quantiles that lie evenly about the median, the widest first."""
    pairs = []
    for low, q in enumerate(quantiles):
        high = next((i for i, other in enumerate(quantiles) if abs(other + q - 1) < 1e-9), None)
        if high is not None and low < high:
            pairs.append((low, high))
    return pairs


def _window(panel: Panel, cutoff: int, history: int | None) -> Panel:
    """Return what is known at a cutoff: all before it, or the last steps before it."""
    known = panel.until(-cutoff)
    return known if history is None else known.last(history)


def _behind(forecast: Forecast, gap: int) -> Forecast:
    """Return the forecast without its first steps."""
    return (
        replace(forecast, point=forecast.point[:, gap:], values=forecast.values[:, gap:]) if gap else forecast
    )


def _scales(panel: Panel, season: int, *, squared: bool) -> np.ndarray:
    """Return `naive_scale` of each series, (n,), of all at once."""
    owner = np.repeat(np.arange(len(panel)), panel.lengths)
    later = np.flatnonzero(np.arange(len(owner)) - panel.offsets[owner] >= season)
    difference = np.abs(panel.values[later] - panel.values[later - season])
    known = ~np.isnan(difference)
    owner, difference = owner[later][known], difference[known]
    count = np.bincount(owner, minlength=len(panel))
    total = np.bincount(owner, difference**2 if squared else difference, minlength=len(panel))
    return total / np.where(count == 0, np.nan, count)


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
