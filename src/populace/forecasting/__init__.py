"""Forecasts of one or many series: quantiles per step, backtests that do not peek, baselines to beat."""

from populace.forecasting.baselines.arima import ARIMA
from populace.forecasting.baselines.ets import ETS
from populace.forecasting.baselines.simple import Drift, HistoricalMean, Naive, SeasonalNaive
from populace.forecasting.baselines.theta import Theta
from populace.forecasting.data.panel import Panel
from populace.forecasting.data.read import read
from populace.forecasting.data.time.frequency import Frequency
from populace.forecasting.evaluation.backtest import Backtest, backtest
from populace.forecasting.evaluation.compare import Comparison, compare
from populace.forecasting.evaluation.point_metrics import (
    mae,
    mape,
    mase,
    mse,
    naive_scale,
    rmse,
    rmsse,
    smape,
)
from populace.forecasting.evaluation.quantile_metrics import (
    coverage,
    crps,
    mean_pinball,
    pinball,
    width,
    winkler,
    wql,
)
from populace.forecasting.evaluation.scores import Scores
from populace.forecasting.evidence.findings import findings
from populace.forecasting.forecast import QUANTILES, Forecast
from populace.forecasting.forecaster import Forecaster
from populace.forecasting.model import ForecastModel
from populace.forecasting.models.linear import Linear
from populace.forecasting.saving import load
from populace.forecasting.uncertainty.conformal import Conformal

__all__ = [
    "ARIMA",
    "ETS",
    "QUANTILES",
    "Backtest",
    "Comparison",
    "Conformal",
    "Drift",
    "Forecast",
    "ForecastModel",
    "Forecaster",
    "Frequency",
    "HistoricalMean",
    "Linear",
    "Naive",
    "Panel",
    "Scores",
    "SeasonalNaive",
    "Theta",
    "backtest",
    "compare",
    "coverage",
    "crps",
    "findings",
    "load",
    "mae",
    "mape",
    "mase",
    "mean_pinball",
    "mse",
    "naive_scale",
    "pinball",
    "read",
    "rmse",
    "rmsse",
    "smape",
    "width",
    "winkler",
    "wql",
]
