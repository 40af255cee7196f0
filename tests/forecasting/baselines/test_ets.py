"""Exponential smoothing against its recursion, processes it must continue, and variances of theory."""

import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.forecasting import ETS, Panel, backtest, read
from populace.forecasting.baselines.ets import _Smoother
from tests.places import SHARED_DATA

STEPS = np.arange(60)
PATTERN = np.tile([3.0, -1.0, -4.0, 2.0], 18)


def test_the_recursion_is_the_one_of_the_book():
    rng = np.random.default_rng(0)
    series = np.cumsum(rng.normal(size=30)) + PATTERN[:30]
    model = _Smoother(4, "damped")
    a, trend, season, p = 0.4, 0.3, 0.2, 0.9
    weights = np.array([[[a, trend, season, p]]])
    start = model.initial(series[None])
    squared, states = model.run(series[None], weights, start)
    level, slope, total = start.level.item(), start.trend.item(), 0.0
    seasons = start.season[:, 0, 0].tolist()
    for t, value in enumerate(series):
        error = value - (level + p * slope + seasons[t % 4])
        level, slope = level + p * slope + a * error, p * slope + trend * a * error
        seasons[t % 4] += season * (1 - a) * error
        total += error**2
    assert np.isclose(squared.item(), total)
    mean, grown = model.ahead(weights[:, 0], states, 30, 3)
    expected = [level + slope * sum(p**i for i in range(1, h + 1)) + seasons[(29 + h) % 4] for h in (1, 2, 3)]
    assert np.allclose(mean[0], expected)
    effects = [a + trend * a * p, a + trend * a * (p + p**2)]
    assert np.allclose(grown[0] ** 2, [1, 1 + effects[0] ** 2, 1 + effects[0] ** 2 + effects[1] ** 2])


@pytest.mark.parametrize(
    "process",
    [
        lambda t: 5 + 0.0 * t,
        lambda t: 50 - 2.0 * t,
        lambda t: PATTERN[t] + 0.5 * t,
        lambda t: np.exp(0.1 * t),
        lambda t: 100 * 1.05**t * np.tile([1.0, 2.0, 3.0, 1.5], 18)[t],
    ],
)
def test_what_has_no_noise_is_continued(process):
    ahead = process(np.arange(60, 66))
    found = ETS(season=4).fit(process(STEPS)).predict(6)
    assert np.allclose(found.point, ahead, rtol=0.02, atol=0.2)


def test_errors_of_a_level_grow_as_theory_says():
    """A random walk seen with noise: the variance h steps ahead is `s^2 (1 + (h - 1) a^2)`."""
    rng = np.random.default_rng(1)
    series = np.cumsum(rng.normal(0, 0.5, 3000)) + rng.normal(size=3000)
    found = ETS(trend="none").fit(series).predict(50, (0.5, 0.95))
    deviation = (found.quantile(0.95) - found.point)[0] / 1.644854
    # the steady state of the Kalman filter: q = 0.25, a = (q - sqrt(q^2 + 4 q)) / -2, s^2 = 1 / (1 - a)
    a = (np.sqrt(0.25**2 + 1) - 0.25) / 2
    expected = np.sqrt((1 + np.arange(50) * a**2) / (1 - a))
    assert np.allclose(deviation, expected, rtol=0.1)


def test_each_series_has_its_own_model_and_stays_alone():
    rng = np.random.default_rng(2)
    several = [100 + rng.normal(size=40), np.exp(0.05 * np.arange(40)), rng.normal(size=40), [1.0, 2.0, 3.0]]
    together = ETS(season=4).fit(Panel.of(several)).predict(3)
    for i, series in enumerate(several):
        assert np.allclose(ETS(season=4).fit(series).predict(3).values, together.values[i : i + 1])
    assert np.all(together.values[1] > 0)
    logged = ETS(logarithm=True).fit(Panel.of(several)).predict(3)
    assert np.isfinite(logged.values).all()
    assert np.abs(logged.point[2]).max() < 3


def test_a_trend_that_is_none_is_refused():
    with pytest.raises(UsageError, match="unknown trend 'linear'"):
        ETS(trend="linear").fit(STEPS.astype(float))


@pytest.mark.skipif(
    not (SHARED_DATA / "timeseries").is_dir(), reason="../shared/data/timeseries is not there"
)
def test_air_passengers_are_forecast_three_years_ahead():
    found = backtest(ETS(), read(SHARED_DATA / "timeseries" / "AirPassengers.csv"), 36).summary()
    assert found["MAPE"] <= 5.1
    assert 0.8 < found["coverage of 90 %"] <= 1
