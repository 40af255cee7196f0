"""Errors by hand, by brute force, and where nothing can be said."""

from typing import Any

import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.forecasting import (
    coverage,
    crps,
    mae,
    mape,
    mase,
    mean_pinball,
    mse,
    naive_scale,
    pinball,
    rmse,
    rmsse,
    smape,
    width,
    winkler,
    wql,
)
from populace.forecasting.evaluation.quantile_metrics import check_quantiles

ACTUAL = np.array([[1.0, 2.0, np.nan, 4.0], [0.0, 0.0, 0.0, 0.0], [np.nan] * 4])
FORECAST = np.array([[2.0, 2.0, 9.0, 1.0], [0.0, 0.0, 1.0, 0.0], [1.0] * 4])


def test_point_errors_by_hand():
    assert np.allclose(mae(ACTUAL, FORECAST), [4 / 3, 0.25, np.nan], equal_nan=True)
    assert np.allclose(mse(ACTUAL, FORECAST), [10 / 3, 0.25, np.nan], equal_nan=True)
    assert np.allclose(rmse(ACTUAL, FORECAST), [np.sqrt(10 / 3), 0.5, np.nan], equal_nan=True)
    assert np.allclose(mape(ACTUAL, FORECAST), [100 * (1 + 0 + 0.75) / 3, np.nan, np.nan], equal_nan=True)
    assert np.allclose(smape(ACTUAL, FORECAST), [200 * (1 / 3 + 0.6) / 3, 50, np.nan], equal_nan=True)
    assert np.allclose(mase(ACTUAL, FORECAST, np.array([2, 0, 1])), [2 / 3, np.nan, np.nan], equal_nan=True)
    assert np.allclose(rmsse(ACTUAL, FORECAST, np.array([2, 0, 1]))[0], np.sqrt(5 / 3))


def test_the_scale_of_a_history():
    history = np.array([1.0, 3.0, np.nan, 4.0, 5.0])
    assert naive_scale(history) == 1.5
    assert naive_scale(history, 3) == 2.5
    assert naive_scale(history, 3, squared=True) == 6.5
    assert np.isnan(naive_scale(history, 5))
    assert naive_scale(np.ones(4)) == 0


def test_pinball_and_wql_by_hand():
    actual, forecast = np.array([[1.0, 2.0]]), np.array([[[0.0, 3.0], [2.0, 2.5]]])
    assert np.allclose(pinball(actual, forecast[..., 0], 0.1), 0.05)
    assert np.allclose(pinball(actual, forecast[..., 1], 0.9), 0.1 * 2.5 / 2)
    assert np.allclose(mean_pinball(actual, forecast, [0.1, 0.9]), (0.05 + 0.125) / 2)
    assert np.isclose(wql(actual, forecast, [0.1, 0.9]), 2 * np.mean([0.1, 0.25]) / 3)
    assert np.isnan(wql(np.zeros((1, 2)), forecast, [0.1, 0.9]))


def test_crps_is_that_of_all_pairs():
    rng = np.random.default_rng(0)
    samples, actual = rng.normal(size=(3, 5, 7)), rng.normal(size=(3, 5))
    distance = np.abs(samples - actual[..., None]).mean(-1)
    pairs = np.abs(samples[..., None] - samples[..., None, :]).sum((-1, -2))
    assert np.allclose(crps(actual, samples), (distance - pairs / 49 / 2).mean(-1))
    assert np.allclose(crps(actual, samples, fair=True), (distance - pairs / 42 / 2).mean(-1))
    assert np.allclose(crps(actual, samples[..., :1]), mae(actual, samples[..., 0]))
    with pytest.raises(UsageError, match="at least 2 samples"):
        crps(actual, samples[..., :1], fair=True)


def test_intervals_by_hand():
    actual, low = np.array([[1.0, 2.0, np.nan, 5.0]]), np.zeros((1, 4))
    high = np.array([[1.0, 1.0, 9.0, 3.0]])
    assert np.allclose(coverage(actual, low, high), 1 / 3)
    assert np.allclose(width(actual, low, high), 5 / 3)
    assert np.allclose(winkler(actual, low, high, 0.8), (1 + (1 + 10) + (3 + 20)) / 3)


def test_shapes_and_levels_are_checked():
    with pytest.raises(UsageError, match=r"observations of shape \(3, 4\) do not fit forecasts"):
        mae(ACTUAL, FORECAST[0])
    with pytest.raises(UsageError, match=r"must have the shape \(3, 4, 2\)"):
        mean_pinball(ACTUAL, FORECAST, [0.1, 0.9])
    wrong: list[Any] = [[], [0.0], [0.5, 0.5], [float("nan")], [1.5], "median", ["a"]]
    for levels in wrong:
        with pytest.raises(UsageError, match="quantiles must") as refused:
            check_quantiles(levels)
        assert str(levels) in str(refused.value)
    assert check_quantiles([0.9, 0.1]).tolist() == [0.1, 0.9]
