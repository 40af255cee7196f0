"""Errors of point forecasts, one number per series; what is missing counts nowhere.

Sources: R. J. Hyndman, A. B. Koehler (2006), Another look at measures of forecast accuracy, International
Journal of Forecasting 22; S. Makridakis, E. Spiliotis, V. Assimakopoulos (2020, 2022), The M4 and M5
competitions, same journal.
"""

import numpy as np

from populace.core.errors import UsageError


def mae(actual: np.ndarray, forecast: np.ndarray) -> np.ndarray:
    """Return the mean absolute error `mean_t |y_t - f_t|`, in the unit of the series.

    Args:
        actual: (..., horizon), NaN where an observation is missing.
        forecast: the same shape.

    Returns:
        (...), NaN where nothing was observed.

    Raises:
        UsageError: shapes that differ.

    """
    return mean(np.abs(errors(actual, forecast)))


def mse(actual: np.ndarray, forecast: np.ndarray) -> np.ndarray:
    """Return the mean squared error `mean_t (y_t - f_t)^2`; shapes as in `mae`."""
    return mean(errors(actual, forecast) ** 2)


def rmse(actual: np.ndarray, forecast: np.ndarray) -> np.ndarray:
    """Return the root of the mean squared error, in the unit of the series."""
    return np.sqrt(mse(actual, forecast))


def mape(actual: np.ndarray, forecast: np.ndarray) -> np.ndarray:
    """Return the mean percentage error `100 mean_t |y_t - f_t| / |y_t|`; observations of 0 are left out."""
    actual = np.asarray(actual, np.float64)
    return 100 * mean(_ratio(np.abs(errors(actual, forecast)), np.abs(actual)))


def smape(actual: np.ndarray, forecast: np.ndarray) -> np.ndarray:
    """Return the symmetric percentage error `200 mean_t |y_t - f_t| / (|y_t| + |f_t|)`, from 0 to 200.

    Where observation and forecast are both 0 the error is 0.
    """
    error = np.abs(errors(actual, forecast))
    size = np.abs(np.asarray(actual, np.float64)) + np.abs(np.asarray(forecast, np.float64))
    return 200 * mean(np.where(size == 0, np.where(np.isnan(error), np.nan, 0.0), _ratio(error, size)))


def mase(actual: np.ndarray, forecast: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return the mean absolute scaled error `mae / scale`.

    Args:
        actual: (..., horizon).
        forecast: the same shape.
        scale: (...) the error of seasonal naive forecasts within the training part, of
            [`naive_scale`][populace.forecasting.naive_scale]. NaN where it is 0: nothing scales a constant.

    """
    return _ratio(mae(actual, forecast), np.asarray(scale, np.float64))


def rmsse(actual: np.ndarray, forecast: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return the root mean squared scaled error `sqrt(mse / scale)`; the scale is of squared naive errors."""
    return np.sqrt(_ratio(mse(actual, forecast), np.asarray(scale, np.float64)))


def naive_scale(history: np.ndarray, season: int = 1, *, squared: bool = False) -> float:
    """Return the mean absolute (or squared) difference of observations a season apart.

    Args:
        history: (T,) the training part of one series; NaN where an observation is missing.
        season: steps of a season.
        squared: of squares, for `rmsse`.

    Returns:
        NaN where no two observations lie a season apart.

    Raises:
        UsageError: a season below 1.

    """
    if season < 1:
        raise UsageError(f"a season must have at least 1 step, got {season}")
    history = np.asarray(history, np.float64)
    difference = np.abs(history[season:] - history[:-season])
    return float(mean(difference**2 if squared else difference))


def errors(actual: np.ndarray, forecast: np.ndarray) -> np.ndarray:
    """Return `y - f`, float64; NaN where an observation is missing.

    Raises:
        UsageError: shapes that differ.

    """
    actual, forecast = np.asarray(actual, np.float64), np.asarray(forecast, np.float64)
    if actual.shape != forecast.shape:
        raise UsageError(
            f"observations of shape {actual.shape} do not fit forecasts of shape {forecast.shape}"
        )
    return actual - forecast


def mean(values: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis of what is not NaN; NaN where there is nothing."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0.0).sum(-1), known.sum(-1).astype(np.float64))


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Return the ratio; NaN where the denominator is 0."""
    below = np.where(below == 0, np.nan, below)
    return above / below
