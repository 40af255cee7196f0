"""ARIMA with orders chosen for each series, by the statsforecast library where it is installed.

Source: R. J. Hyndman, Y. Khandakar (2008), Automatic time series forecasting: the forecast package for R,
Journal of Statistical Software 27 (the stepwise choice by AICc).
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from populace.core.errors import UsageError
from populace.forecasting.baselines.local import Moments, SeasonalModel, interpolated

_LEVEL = 95
_NORMAL = 1.959963984540054  # quantile of the level's upper end


@dataclass(frozen=True)
class ARIMA(SeasonalModel):
    """Seasonal ARIMA, whose orders `statsforecast.models.AutoARIMA` chooses, where it is installed.

    Series are fitted one by one, each in a second or more: for many of them take
    [`ETS`][populace.forecasting.ETS].
    """

    def fit(self, data: Any) -> Self:
        """Keep the history.

        Raises:
            UsageError: statsforecast is not installed.

        """
        _library()
        return super().fit(data)

    def moments(self, history: np.ndarray, horizon: int, season: int) -> Moments:
        """Return the mean and the deviation of each series' model."""
        model = _library()(season_length=season)
        found = [model.forecast(y=series, h=horizon, level=[_LEVEL]) for series in interpolated(history)]
        mean = np.stack([np.asarray(one["mean"], np.float64) for one in found])
        upper = np.stack([np.asarray(one[f"hi-{_LEVEL}"], np.float64) for one in found])
        return Moments(mean, (upper - mean) / _NORMAL)


def _library() -> Any:
    try:
        from statsforecast.models import AutoARIMA  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise UsageError(
            "ARIMA needs statsforecast, which is not installed; run 'pip install populace[forecasting]', "
            "or take ETS"
        ) from None
    return AutoARIMA
