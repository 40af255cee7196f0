"""Baselines against their formulas, and the variances that theory gives."""

import numpy as np
import pytest
from scipy.stats import norm

from populace.core.errors import UsageError
from populace.forecasting import Drift, HistoricalMean, Naive, SeasonalNaive, Theta
from populace.forecasting.baselines import theta

SERIES = np.array([3.0, 5.0, 4.0, 8.0, 7.0])


def sd(model: object, series: np.ndarray, horizon: int) -> np.ndarray:
    found = model.fit(series).predict(horizon, (0.5, 0.9))  # pyright: ignore[reportAttributeAccessIssue]
    assert np.allclose(found.quantile(0.5), found.point)
    return (found.quantile(0.9) - found.point)[0] / norm.ppf(0.9)


def test_means_and_deviations_are_the_formulas():
    steps = np.arange(1, 4)
    differences = np.diff(SERIES)
    assert np.allclose(Naive().fit(SERIES).predict(3).point, 7)
    assert np.allclose(sd(Naive(), SERIES, 3), np.sqrt(np.mean(differences**2) * steps))
    assert np.allclose(HistoricalMean().fit(SERIES).predict(3).point, 5.4)
    assert np.allclose(sd(HistoricalMean(), SERIES, 3), SERIES.std(ddof=1) * np.sqrt(1.2))
    assert np.allclose(Drift().fit(SERIES).predict(3).point, [[8, 9, 10]])
    drift = np.sqrt(np.sum((differences - 1) ** 2) / 3)
    assert np.allclose(sd(Drift(), SERIES, 3), drift * np.sqrt(steps * (1 + steps / 4)))
    assert np.allclose(SeasonalNaive(season=2).fit(SERIES).predict(3).point, [[8, 7, 8]])
    seasonal = np.sqrt(np.mean((SERIES[2:] - SERIES[:-2]) ** 2))
    assert np.allclose(sd(SeasonalNaive(season=2), SERIES, 3), seasonal * np.sqrt([1, 1, 2]))


def test_what_is_missing_is_passed_over():
    gaps = np.array([np.nan, 1.0, 2.0, np.nan, 4.0, np.nan])
    assert np.allclose(Naive().fit(gaps).predict(2).point, 4)
    assert np.allclose(sd(Naive(), gaps, 2), np.sqrt([2, 3]))  # one step is missing behind the last
    assert np.allclose(Drift().fit(gaps).predict(1).point, 6)
    assert np.allclose(SeasonalNaive(season=2).fit(gaps).predict(2).point, [[4, 1]])
    assert np.isfinite(Theta(season=2).fit(gaps).predict(3).values).all()


def test_short_and_constant_series():
    for model in (Naive(), Drift(), HistoricalMean(), SeasonalNaive(season=4), Theta(season=4)):
        for series in ([5.0], [5.0, 5.0], [5.0] * 30):
            found = model.fit(np.array(series)).predict(3)
            assert np.allclose(found.values, 5), model.name


def test_theta_is_smoothing_with_half_the_trend():
    rng = np.random.default_rng(1)
    series = np.cumsum(rng.normal(0.5, 1, 80))
    found = theta.smoothed(series[None])
    weight, level, residuals = found[0].item(), found[1].item(), found[2][0]
    levels = [series[0]]
    for value in series[1:]:
        levels.append(weight * value + (1 - weight) * levels[-1])
    assert np.isclose(level, levels[-1])
    assert np.allclose(residuals, series[1:] - levels[:-1])
    others = [np.sum((series[1:] - _levels(series, w)[:-1]) ** 2) for w in np.linspace(0.02, 0.99, 98)]
    assert np.sum(residuals**2) <= min(others) * (1 + 1e-4)
    slope = np.polyfit(np.arange(80), series, 1)[0]
    expected = level + slope / 2 * (np.arange(4) + (1 - (1 - weight) ** 80) / weight)
    assert np.allclose(Theta().fit(series).predict(4).point, expected)


def _levels(series: np.ndarray, weight: float) -> np.ndarray:
    levels = [series[0]]
    for value in series[1:]:
        levels.append(weight * value + (1 - weight) * levels[-1])
    return np.array(levels)


def test_theta_divides_the_season_out():
    steps = np.arange(96)
    pattern = np.tile([0.5, 1.0, 1.5, 1.0], 24)
    found = Theta(season=4).fit((100 + 0.0 * steps) * pattern).predict(6)
    assert np.allclose(found.point, [[50, 100, 150, 100, 50, 100]], rtol=1e-6)
    negative = np.tile([-1.0, 0, 1, 0], 24)
    assert np.allclose(Theta(season=4).fit(negative).predict(4).point, [[-1, 0, 1, 0]], atol=1e-6)


def test_models_say_what_they_need():
    with pytest.raises(UsageError, match="naive has not been fitted"):
        Naive().predict(3)
    with pytest.raises(UsageError, match="a season must have at least 1 step"):
        SeasonalNaive(season=0).fit(SERIES).predict(3)
    with pytest.raises(UsageError, match=r"the quantile 0\.3 was not forecast"):
        Naive().fit(SERIES).predict(3).quantile(0.3)
