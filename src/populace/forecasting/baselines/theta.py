"""The Theta method: simple exponential smoothing with half the linear trend, after the season is divided out.

Sources: V. Assimakopoulos, K. Nikolopoulos (2000), The theta model, International Journal of Forecasting 16;
R. J. Hyndman, B. Billah (2003), Unmasking the Theta method, same journal 19, for the form used here and its
variance; the seasonal test is that of the M4 competition.
"""

from dataclasses import dataclass

import numpy as np

from populace.forecasting.baselines.local import SeasonalModel

_WEIGHTS = np.concatenate([np.linspace(0.01, 0.99, 50), [0.995]])


@dataclass(frozen=True)
class Theta(SeasonalModel):
    """Forecast `l_T + (b / 2) (h - 1 + 1/a - (1 - a)^T / a)`.

    l_T is the level of simple exponential smoothing of weight a, b the slope of the least-squares line. If
    the autocorrelation at a season's lag is significant (90 %), the season is divided out by the classical
    multiplicative decomposition first, or subtracted where observations are not positive.
    """

    def moments(self, history: np.ndarray, horizon: int, season: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the forecast, and the deviation `s sqrt(1 + (h - 1) a^2)`."""
        filled = interpolated(history)
        steps = np.arange(horizon)
        if len(filled) < 3:
            return np.full(horizon, filled[-1]), np.zeros(horizon)
        pattern, multiplied = np.zeros(1), False
        if season > 1 and is_seasonal(filled, season):
            multiplied = bool(np.all(filled > 0))
            pattern = seasonal_pattern(filled, season, multiply=multiplied)
        past = pattern[np.arange(len(filled)) % len(pattern)]
        future = pattern[(len(filled) + steps) % len(pattern)]
        adjusted = filled / past if multiplied else filled - past
        weight, level, residuals = smoothed(adjusted)
        count = len(adjusted)
        slope = np.polyfit(np.arange(count), adjusted, 1)[0]
        mean = level + slope / 2 * (steps + 1 / weight - (1 - weight) ** count / weight)
        deviation = np.sqrt(np.mean(residuals**2)) * np.sqrt(1 + steps * weight**2)
        return (mean * future, deviation * future) if multiplied else (mean + future, deviation)


def smoothed(series: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Return the weight of simple exponential smoothing, its last level, and its one-step errors.

    `l_t = a y_t + (1 - a) l_(t-1)` from the first observation; the weight has the least squared error, on a
    grid that is refined once.
    """
    weights, found = _WEIGHTS, 1.0
    for _ in range(2):
        squared = [np.sum(_smooth(series, w)[1] ** 2) for w in weights]
        best = int(np.argmin(squared))
        low, high = weights[max(best - 1, 0)], weights[min(best + 1, len(weights) - 1)]
        weights, found = np.linspace(low, high, 21), float(weights[best])
    level, residuals = _smooth(series, found)
    return found, level, residuals


def _smooth(series: np.ndarray, weight: float) -> tuple[float, np.ndarray]:
    """Return the last level and the one-step errors from the second observation on."""
    from scipy.signal import lfilter

    start = [(1 - weight) * series[0]]
    levels = np.concatenate([series[:1], lfilter([weight], [1, weight - 1], series[1:], zi=start)[0]])
    return float(levels[-1]), series[1:] - levels[:-1]


def is_seasonal(series: np.ndarray, season: int) -> bool:
    """Return whether the autocorrelation at the season's lag is significant (90 %, Bartlett's formula)."""
    if len(series) < 3 * season:
        return False
    centered = series - series.mean()
    variance = np.sum(centered**2)
    if variance <= 1e-12 * np.sum(series**2):
        return False
    correlations = (
        np.array([np.sum(centered[lag:] * centered[:-lag]) for lag in range(1, season + 1)]) / variance
    )
    limit = 1.645 * np.sqrt((1 + 2 * np.sum(correlations[:-1] ** 2)) / len(series))
    return bool(abs(correlations[-1]) > limit)


def seasonal_pattern(series: np.ndarray, season: int, *, multiply: bool) -> np.ndarray:
    """Return the season's factors (mean 1) or summands (mean 0), (season,), of the classical decomposition.

    The trend is a centered moving average over one season; the pattern is the mean of what it leaves.
    """
    kernel = np.ones(season) / season if season % 2 else np.r_[0.5, np.ones(season - 1), 0.5] / season
    trend = np.convolve(series, kernel, "valid")
    edge = len(kernel) // 2
    inside = series[edge : edge + len(trend)]
    left = inside / trend if multiply else inside - trend
    phases = (edge + np.arange(len(trend))) % season
    pattern = np.array([left[phases == phase].mean() for phase in range(season)])
    return pattern / pattern.mean() if multiply else pattern - pattern.mean()


def interpolated(series: np.ndarray) -> np.ndarray:
    """Return the series with what is missing on the line between its neighbours, or as the nearest one."""
    known = np.flatnonzero(~np.isnan(series))
    return np.interp(np.arange(len(series)), known, series[known])
