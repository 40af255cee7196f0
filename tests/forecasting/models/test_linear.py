"""Linear forecasters: an exact process is found, the ridge is scikit-learn's, errors grow as in theory."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from populace.core.errors import UsageError
from populace.forecasting import Linear, Panel, backtest, read
from tests.places import SHARED_DATA


def autoregression(length: int, seed: int, *, noise: float = 1.0, weight: float = 0.8) -> np.ndarray:
    rng = np.random.default_rng(seed)
    series = [0.0]
    for shock in noise * rng.normal(size=length - 1):
        series.append(weight * series[-1] + shock)
    return np.array(series)


def test_a_process_without_noise_is_continued_exactly():
    steps = np.arange(60)
    series = np.sin(0.3 * steps) + 0.1 * np.cos(0.7 * steps) + 5
    ahead = np.sin(0.3 * np.arange(60, 70)) + 0.1 * np.cos(0.7 * np.arange(60, 70)) + 5
    for settings in ({"horizon": 10}, {"horizon": 1}, {"horizon": 4}, {"horizon": 10, "recursive": True}):
        for center in ("last", "mean", "none"):
            model = Linear(window=8, penalty=0.0, center=center, **settings)  # pyright: ignore[reportArgumentType]
            assert np.allclose(model.fit(series).predict(10).point, ahead, atol=1e-3), (settings, center)


def test_weights_are_those_of_ridge_regression():
    series = autoregression(80, 0)
    model = Linear(window=4, horizon=3, penalty=0.05, center="none").fit([series[:50], series[50:]])
    view = np.lib.stride_tricks.sliding_window_view
    pairs = np.concatenate([view(series[:50], 7), view(series[50:], 7)])
    x, y = pairs[:, :4], pairs[:, 4:]
    ridge = Ridge(alpha=0.05 * np.mean(np.sum(x**2, 0))).fit(x, y)
    assert model.weights is not None
    assert np.allclose(model.weights[:-1], ridge.coef_.T)
    assert np.allclose(model.weights[-1], ridge.intercept_)


def test_intervals_of_an_autoregression_grow_as_theory_says():
    """The variance h steps ahead of AR(1) is `(1 - a^2h) / (1 - a^2)`."""
    series = autoregression(20_000, 1)
    found = Linear(window=3, horizon=6, penalty=0.0, center="none").fit(series).predict(6, (0.5, 0.975))
    deviation = (found.quantile(0.975) - found.point)[0] / 1.959964
    expected = np.sqrt((1 - 0.8 ** (2 * np.arange(1, 7))) / (1 - 0.8**2))
    assert np.allclose(deviation, expected, rtol=0.03)
    rng = np.random.default_rng(2)
    paths = [rng.normal(size=1500) / 0.6]
    for _ in range(39):
        paths.append(0.8 * paths[-1] + rng.normal(size=1500))
    panel = Panel.of(list(np.stack(paths, 1)))
    tested = backtest(Linear(window=3, horizon=4, penalty=0.0, center="none"), panel, 4)
    shares = tested.calibration()
    assert all(abs(share - level) < 0.03 for level, share in shares.items()), shares


def test_errors_that_are_fed_back_grow_as_theory_says():
    series = autoregression(20_000, 1)
    model = Linear(window=3, penalty=0.0, center="none", recursive=True, paths=4000).fit(series)
    found = model.predict(6, (0.05, 0.975))
    deviation = (found.quantile(0.975) - found.point)[0] / 1.959964
    expected = np.sqrt((1 - 0.8 ** (2 * np.arange(1, 7))) / (1 - 0.8**2))
    assert np.allclose(deviation, expected, rtol=0.08)
    lower = (found.quantile(0.05) - found.point)[0] / -1.644854
    assert np.allclose(lower, expected, rtol=0.08)
    # errors that lean to one side stay so, which normal ones would not show
    leaning = autoregression(4000, 2, noise=0.0) + np.random.default_rng(3).exponential(size=4000)
    found = Linear(window=1, penalty=0.0, center="none", recursive=True).fit(leaning).predict(2, (0.05, 0.95))
    assert (found.quantile(0.95) - found.point)[0, 1] > 1.5 * (found.point - found.quantile(0.05))[0, 1]


def test_the_worked_window_of_three_steps_of_two_variables():
    """Two lines that rise by .1 are continued: .7, .8, and so on to 1.6."""
    lines = [np.linspace(0.1, 0.6, 6), np.linspace(0.2, 0.7, 6)]
    found = Linear(window=3, horizon=1, penalty=0.0).fit(lines).predict(10)
    assert np.allclose(found.point[0], np.linspace(0.7, 1.6, 10), atol=1e-6)


def test_scaling_makes_series_of_any_size_count_alike():
    small = autoregression(200, 3)
    model = Linear(window=4, horizon=2, scale="difference")
    alone, together = model.fit(small), model.fit([small, 1e6 * small])
    assert alone.weights is not None
    assert together.weights is not None
    assert np.allclose(alone.weights, together.weights, atol=1e-9)
    found = together.predict(2)
    assert np.allclose(found.values[1], 1e6 * found.values[0])


def test_new_history_is_forecast_by_the_weights_that_were_learned():
    series = autoregression(120, 4)
    model = Linear(window=4, horizon=3).fit(Panel.of(series[:100]))
    assert np.allclose(
        model.predict(3, data=series).point, model.fit(series[:100]).predict(3, data=series).point
    )
    assert not np.allclose(model.predict(3, data=series).point, model.predict(3).point)


def test_constant_and_short_series():
    found = Linear(window=4, horizon=3).fit([np.full(20, 7.0), np.full(30, 1e5)]).predict(3)
    assert np.allclose(found.values[0], 7)
    assert np.allclose(found.values[1], 1e5)
    with pytest.raises(UsageError, match=r"series 1 has 3 observations, fewer than the window of 4 \(1 of 2"):
        Linear(window=4).fit([np.arange(30.0), np.arange(3.0)]).predict(2)
    gap = np.r_[np.arange(30.0), np.nan, 2.0]
    with pytest.raises(UsageError, match="series 0 misses observations within its last 4 steps"):
        Linear(window=4).fit(gap).predict(2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"center": "median"}, "center must be one of"),
        ({"scale": "range"}, "scale must be one of none, deviation, difference, got 'range'"),
        ({"penalty": -1.0}, "penalty must be at least 0"),
        ({"window": 99}, "need 100 observations"),
        ({"horizon": 0}, "the horizon must be"),
    ],
)
def test_settings_are_checked(settings: dict, message: str):
    with pytest.raises(UsageError, match=message):
        Linear(**settings).fit(np.arange(30.0))


@pytest.mark.slow
@pytest.mark.skipif(
    not (SHARED_DATA / "timeseries").is_dir(), reason="../shared/data/timeseries is not there"
)
@pytest.mark.parametrize(("horizon", "penalty", "highest"), [(96, 1e-2, 0.370), (720, 1e-1, 0.434)])
def test_etth1_is_forecast_as_well_as_the_best_linear_models(horizon: int, penalty: float, highest: float):
    whole = read(SHARED_DATA / "timeseries" / "ETTh1.csv")
    train = np.stack([series[:8640] for series in whole])
    mean, deviation = train.mean(1, keepdims=True), train.std(1, keepdims=True)
    scaled = (np.stack(list(whole)) - mean) / deviation
    model = Linear(window=336, horizon=horizon, penalty=penalty).fit(list(scaled[:, :8640]))
    errors = []
    for begin in range(8640 + 2880, 8640 + 2 * 2880 - horizon + 1):
        history = Panel.of(list(scaled[:, begin - 336 : begin]))
        found = model.predict(horizon, (0.5,), data=history).point
        errors.append(np.mean((found - scaled[:, begin : begin + horizon]) ** 2))
    assert np.mean(errors) <= highest
