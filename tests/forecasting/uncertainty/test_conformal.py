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


def noise(length: int, *, later: float) -> np.ndarray:
    rng = np.random.default_rng(3)
    return rng.normal(size=(30, length)) * np.where(np.arange(length) < 200, 1.0, later)


def test_errors_that_came_since_count_and_the_oldest_do_not():
    panel = Panel.of(list(noise(260, later=1.0)))
    begun = Conformal(Naive(), windows=50, horizon=3).fit(panel.until(200))
    at_once = begun.update(panel)
    by_steps = begun
    for length in range(203, 261, 3):
        by_steps = by_steps.update(panel.until(length))
    by_steps = by_steps.update(panel)
    assert at_once.errors is not None
    assert by_steps.errors is not None
    assert np.allclose(at_once.errors, by_steps.errors, equal_nan=True)
    assert np.isnan(at_once.errors[-1, :, 1:]).all()  # one step of the latest has come
    expected = Conformal(Naive(), windows=50, horizon=3).fit(panel).errors
    assert expected is not None
    assert np.allclose(at_once.errors[:50], expected[: len(at_once.errors[:50])])


def test_levels_follow_a_drift_and_the_rest_does_not():
    panel = Panel.of(list(noise(320, later=2.0)))
    shares = []
    for adaptive in (0.0, 0.02):
        model = Conformal(HistoricalMean(), windows=150, horizon=2, adaptive=adaptive)
        found = backtest(model, panel, 2, windows=60, step=2, refit="update", quantiles=(0.05, 0.5, 0.95))
        shares.append(found.metrics()["coverage of 90 %"][30:].mean())
    assert shares[0] < 0.86
    assert shares[1] > shares[0] + 0.02
    fixed = backtest(
        Conformal(HistoricalMean(), windows=150, horizon=2), panel, 2, windows=60, step=2, refit=False
    )
    assert fixed.metrics()["coverage of 90 %"][30:].mean() < shares[0]  # errors of long ago alone


def test_updates_see_nothing_behind_their_cutoff():
    series = noise(100, later=1.0)[:2]
    changed = series.copy()
    changed[:, -4:] = 1e6
    model = Conformal(Naive(), windows=20, horizon=2, adaptive=0.05)
    values = [
        backtest(model, Panel.of(list(s)), 2, windows=10, step=2, refit="update").values
        for s in (series, changed)
    ]
    assert np.array_equal(values[0][:9], values[1][:9])


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
    with pytest.raises(UsageError, match="either pooled or adaptive"):
        Conformal(Naive(), horizon=2, pooled=True, adaptive=0.1).fit(np.arange(90.0))
    both = Conformal(Naive(), windows=5, horizon=2).fit([np.arange(90.0), np.arange(80.0)])
    with pytest.raises(UsageError, match="as many new observations of each series; got 0 to 1"):
        both.update([np.arange(90.0), np.arange(81.0)])
