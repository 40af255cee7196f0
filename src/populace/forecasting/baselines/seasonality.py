"""Whether series have a season, and the classical decomposition that takes it out.

Source: R. J. Hyndman, G. Athanasopoulos (2021), Forecasting: principles and practice, section 3.4; the test
is that of the M4 competition.
"""

import numpy as np


def is_seasonal(series: np.ndarray, season: int) -> np.ndarray:
    """Return whether the autocorrelation at the season's lag is significant (90 %, Bartlett's formula), (n,).

    Args:
        series: (n, T).
        season: steps.

    """
    count, length = series.shape
    if season < 2 or length < 3 * season:
        return np.zeros(count, bool)
    centered = series - series.mean(1, keepdims=True)
    variance = np.sum(centered**2, 1)
    varies = variance > 1e-12 * np.sum(series**2, 1)
    lagged = [np.sum(centered[:, lag:] * centered[:, :-lag], 1) for lag in range(1, season + 1)]
    correlations = np.stack(lagged) / np.where(varies, variance, 1.0)
    limit = 1.645 * np.sqrt((1 + 2 * np.sum(correlations[:-1] ** 2, 0)) / length)
    return varies & (np.abs(correlations[-1]) > limit)


def seasonal_pattern(series: np.ndarray, season: int, *, multiply: bool) -> np.ndarray:
    """Return factors (mean 1) or summands (mean 0) of the classical decomposition, (n, season).

    The trend is a centered moving average over one season; the pattern is the mean of what it leaves.
    """
    trend, edge = moving_average(series, season)
    inside = series[:, edge : edge + trend.shape[1]]
    left = inside / trend if multiply else inside - trend
    phases = (edge + np.arange(trend.shape[1])) % season
    pattern = np.stack([left[:, phases == phase].mean(1) for phase in range(season)], 1)
    center = pattern.mean(1, keepdims=True)
    return pattern / center if multiply else pattern - center


def moving_average(series: np.ndarray, season: int) -> tuple[np.ndarray, int]:
    """Return the centered moving average, (n, T - 2 edge), and that edge."""
    kernel = np.ones(season) / season if season % 2 else np.r_[0.5, np.ones(season - 1), 0.5] / season
    views = np.lib.stride_tricks.sliding_window_view(series, len(kernel), axis=1)
    return views @ kernel, len(kernel) // 2
