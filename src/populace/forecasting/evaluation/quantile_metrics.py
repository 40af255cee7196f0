"""What quantile forecasts and samples are worth: pinball, WQL, CRPS, coverage, width, Winkler.

Sources: T. Gneiting, A. E. Raftery (2007), Strictly proper scoring rules, prediction, and estimation, JASA
102; R. L. Winkler (1972), A decision-theoretic approach to interval estimation, JASA 67.
"""

from collections.abc import Sequence

import numpy as np

from populace.core.errors import UsageError
from populace.forecasting.evaluation.point_metrics import errors, mean


def check_quantiles(quantiles: Sequence[float]) -> np.ndarray:
    """Return levels of quantiles as an ascending array, float64.

    Raises:
        UsageError: none, two alike, or one that is not between 0 and 1.

    """
    try:
        levels = np.atleast_1d(np.asarray(quantiles, np.float64))
    except (TypeError, ValueError):
        raise UsageError(f"quantiles must be numbers between 0 and 1, got {quantiles!r:.60}") from None
    if levels.ndim != 1 or not levels.size or not np.all((levels > 0) & (levels < 1)):
        raise UsageError(
            f"quantiles must lie between 0 and 1, as 0.05, 0.5, 0.95, got {np.ravel(levels).tolist()!s:.60}"
        )
    if len(np.unique(levels)) < len(levels):
        raise UsageError(f"quantiles must differ from one another, got {levels.tolist()!s:.60}")
    return np.sort(levels)


def pinball(actual: np.ndarray, forecast: np.ndarray, quantile: float) -> np.ndarray:
    """Return the mean pinball loss `mean_t max(q (y - f), (q - 1) (y - f))` of forecasts of one quantile.

    Args:
        actual: (..., horizon), NaN where an observation is missing.
        forecast: the same shape.
        quantile: the level q.

    Returns:
        (...), in the unit of the series.

    """
    error = errors(actual, forecast)
    return mean(np.maximum(quantile * error, (quantile - 1) * error))


def mean_pinball(actual: np.ndarray, forecast: np.ndarray, quantiles: Sequence[float]) -> np.ndarray:
    """Return the pinball loss averaged over quantiles; `forecast` is (..., horizon, Q)."""
    forecast = _fitting(actual, forecast, quantiles)
    losses = [pinball(actual, forecast[..., i], q) for i, q in enumerate(quantiles)]
    return np.mean(losses, 0)


def wql(actual: np.ndarray, forecast: np.ndarray, quantiles: Sequence[float]) -> float:
    """Return the weighted quantile loss over all series, one number.

    `2 mean_q sum pinball_q / sum |y|`, with sums over series and steps. For a point forecast in place of
    quantiles that lie evenly about the median it is `sum |y - f| / sum |y|`.

    Returns:
        NaN where all observations are 0.

    """
    forecast = _fitting(actual, forecast, quantiles)
    actual = np.asarray(actual, np.float64)
    size = np.nansum(np.abs(actual))
    losses = []
    for i, q in enumerate(quantiles):
        error = errors(actual, forecast[..., i])
        losses.append(np.nansum(np.maximum(q * error, (q - 1) * error)))
    return float(2 * np.mean(losses) / size) if size else float("nan")


def crps(actual: np.ndarray, samples: np.ndarray, *, fair: bool = False) -> np.ndarray:
    """Return the continuous ranked probability score of samples, averaged over steps.

    `mean_i |x_i - y| - 1/2 mean_ij |x_i - x_j|`; the score of the empirical distribution. With `fair` the
    pairs are averaged over i different from j, which makes the expectation that of infinitely many samples.

    Args:
        actual: (..., horizon), NaN where an observation is missing.
        samples: (..., horizon, M).
        fair: correct for M being finite; needs two samples.

    Source: C. A. T. Ferro (2014), Fair scores for ensemble forecasts, QJRMS 140.

    """
    actual, ordered = np.asarray(actual, np.float64), np.sort(np.asarray(samples, np.float64), -1)
    if ordered.shape[:-1] != actual.shape:
        raise UsageError(f"observations of shape {actual.shape} do not fit samples of shape {ordered.shape}")
    count = ordered.shape[-1]
    if fair and count < 2:
        raise UsageError("the fair score needs at least 2 samples, got 1")
    distance = np.mean(np.abs(ordered - actual[..., None]), -1)
    weight = 2 * np.arange(count) - (count - 1)
    pairs = 2 * (ordered * weight).sum(-1) / (count * (count - 1 if fair else count))
    return mean(distance - pairs / 2)


def coverage(actual: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the share of observations within `[low, high]`, (...); the ends count as within."""
    inside = (errors(actual, low) >= 0) & (errors(actual, high) <= 0)
    return mean(np.where(np.isnan(np.asarray(actual, np.float64)), np.nan, inside))


def width(actual: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the mean width `high - low` where there are observations."""
    return mean(
        np.where(np.isnan(np.asarray(actual, np.float64)), np.nan, np.asarray(high) - np.asarray(low))
    )


def winkler(actual: np.ndarray, low: np.ndarray, high: np.ndarray, level: float) -> np.ndarray:
    """Return the mean interval score of central intervals of a level.

    `(u - l) + 2 / alpha ((l - y)+ + (y - u)+)`, with alpha = 1 - level: the width, and a fine for what lies
    outside. Lower is better.
    """
    below, above = errors(actual, low), errors(actual, high)
    alpha = 1 - level
    outside = np.maximum(-below, 0) + np.maximum(above, 0)
    return mean(np.asarray(high, np.float64) - np.asarray(low, np.float64) + 2 / alpha * outside)


def _fitting(actual: np.ndarray, forecast: np.ndarray, quantiles: Sequence[float]) -> np.ndarray:
    forecast, shape = np.asarray(forecast, np.float64), np.shape(actual)
    if forecast.shape != (*shape, len(quantiles)):
        raise UsageError(
            f"forecasts of {len(quantiles)} quantiles must have the shape {(*shape, len(quantiles))}, got "
            f"{forecast.shape}"
        )
    return forecast
