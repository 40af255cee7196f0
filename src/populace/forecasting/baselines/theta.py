"""The Theta method: simple exponential smoothing with half the linear trend, after the season is divided out.

Sources: V. Assimakopoulos, K. Nikolopoulos (2000), The theta model, International Journal of Forecasting 16;
R. J. Hyndman, B. Billah (2003), Unmasking the Theta method, same journal 19, for the form used here and its
variance; the seasonal test is that of the M4 competition.
"""

from dataclasses import dataclass

import numpy as np

from populace.forecasting.baselines.local import Moments, SeasonalModel, interpolated
from populace.forecasting.baselines.seasonality import is_seasonal, seasonal_pattern

_WEIGHTS = np.concatenate([np.linspace(0.01, 0.99, 50), [0.995]])


@dataclass(frozen=True)
class Theta(SeasonalModel):
    """Forecast `l_T + (b / 2) (h - 1 + 1/a - (1 - a)^T / a)`.

    l_T is the level of simple exponential smoothing of weight a, b the slope of the least-squares line. If
    the autocorrelation at a season's lag is significant (90 %), the season is divided out by the classical
    multiplicative decomposition first, or subtracted where observations are not positive.
    """

    def moments(self, history: np.ndarray, horizon: int, season: int) -> Moments:
        """Return the forecast, and the deviation `s sqrt(1 + (h - 1) a^2)`."""
        filled = interpolated(history)
        (count, length), steps = filled.shape, np.arange(horizon)
        if length < 3:
            return Moments(np.repeat(filled[:, -1:], horizon, 1), np.zeros((count, horizon)))
        factors, summands = np.ones((count, season)), np.zeros((count, season))
        seasonal, positive = is_seasonal(filled, season), (filled > 0).all(1)
        for chosen, pattern in ((seasonal & positive, factors), (seasonal & ~positive, summands)):
            if chosen.any():
                pattern[chosen] = seasonal_pattern(filled[chosen], season, multiply=pattern is factors)
        past, future = np.arange(length) % season, (length + steps) % season
        adjusted = (filled - summands[:, past]) / factors[:, past]
        weight, level, residuals = smoothed(adjusted)
        slope = _slope(adjusted)
        mean = level + slope / 2 * (steps + 1 / weight - (1 - weight) ** length / weight)
        size = np.sqrt(np.mean(residuals**2, 1, keepdims=True))
        deviation = size * np.sqrt(1 + steps * weight**2)
        return Moments(mean * factors[:, future] + summands[:, future], deviation * factors[:, future])


def smoothed(series: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weights of simple exponential smoothing, last levels, (n, 1) each, and errors, (n, T - 1).

    `l_t = a y_t + (1 - a) l_(t-1)` from the first observation; the weight has the least squared error, on a
    grid that is refined once.
    """
    weights = np.broadcast_to(_WEIGHTS, (len(series), len(_WEIGHTS)))
    best = weights[:, :1]
    for _ in range(2):
        place = np.argmin(_squared_errors(series, weights), 1)[:, None]
        best = np.take_along_axis(weights, place, 1)
        low = np.take_along_axis(weights, np.maximum(place - 1, 0), 1)
        high = np.take_along_axis(weights, np.minimum(place + 1, weights.shape[1] - 1), 1)
        weights = low + (high - low) * np.linspace(0, 1, 21)
    level, residuals = series[:, :1], np.empty((len(series), series.shape[1] - 1))
    for t, value in enumerate(series.T[1:, :, None]):
        residuals[:, t] = (value - level)[:, 0]
        level = best * value + (1 - best) * level
    return best, level, residuals


def _squared_errors(series: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the sum of squared one-step errors of each series and weight, (n, K)."""
    level, total = np.repeat(series[:, :1], weights.shape[1], 1), np.zeros(weights.shape)
    for value in series.T[1:, :, None]:
        error = value - level
        total += error * error
        error *= weights
        level += error
    return total


def _slope(series: np.ndarray) -> np.ndarray:
    """Return the slope of the least-squares line of each series, (n, 1)."""
    steps = np.arange(series.shape[1]) - (series.shape[1] - 1) / 2
    return (series @ steps / (steps @ steps))[:, None]
