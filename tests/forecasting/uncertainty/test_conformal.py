"""Conformal quantiles: the ranks, and coverage where errors are exchangeable."""

import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.forecasting import Conformal, HistoricalMean, Naive, Panel, backtest
from populace.forecasting.uncertainty.conformal import conformal_quantiles


def test_quantiles_are_order_statistics_of_the_errors():
    errors = np.arange(1.0, 10.0).reshape(9, 1, 1)
    found = conformal_quantiles(errors, np.array([0.05, 0.1, 0.5, 0.9, 0.95]))[0, 0]
    assert found.tolist() == [1, 1, 5, 9, 9]
    errors[:5] = np.nan  # 6, 7, 8, 9 are left
    assert conformal_quantiles(errors, np.array([0.2, 0.8]))[0, 0].tolist() == [6, 9]


def test_coverage_is_at_least_nominal_and_hardly_more():
    rng = np.random.default_rng(0)
    panel = Panel.of(list(rng.exponential(size=(400, 62))))
    model = Conformal(HistoricalMean(), windows=39, horizon=2)
    found = backtest(model, panel, 2, quantiles=(0.05, 0.5, 0.95))
    share = found.metrics()["coverage of 90 %"].mean()
    assert 0.88 < share < 0.94
    low, high = found.calibration()[0.05], found.calibration()[0.95]
    assert abs(low - 0.05) < 0.03
    assert abs(high - 0.95) < 0.03


def test_pooled_errors_serve_series_of_different_size():
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(60, 30))
    panel = Panel.of(list(noise * np.geomspace(1, 1e4, 60)[:, None]))
    model = Conformal(HistoricalMean(), windows=5, horizon=1, pooled=True)
    found = backtest(model, panel, 1, quantiles=(0.05, 0.5, 0.95))
    assert 0.8 < found.metrics()["coverage of 90 %"].mean() < 1
    widths = found.metrics()["width"][0]
    assert 10 < widths[30] / widths[0] < 1000


def test_what_is_missing_is_named():
    with pytest.raises(UsageError, match="needs the horizon"):
        Conformal(Naive()).fit(np.arange(90.0))
    with pytest.raises(UsageError, match="naive-conformal has not been fitted"):
        Conformal(Naive(), horizon=2).predict(2)
    fitted = Conformal(Naive(), windows=5, horizon=2).fit(np.arange(90.0))
    with pytest.raises(UsageError, match="calibrated for 2 steps, got a horizon of 3"):
        fitted.predict(3)
    with pytest.raises(UsageError, match="fitted to 1 series, got 2"):
        fitted.predict(2, data=[np.arange(9.0), np.arange(9.0)])
    with pytest.raises(UsageError, match="series 0 has 12 observations, and 20 windows need"):
        Conformal(Naive(), windows=20, horizon=2).fit(np.arange(12.0))
