import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.nn.recurrent.autoregressive import AutoregressiveWindow
from tests.nn.draws import quick_key
from tests.nn.harness import check_layer


def one_step(layer, past):
    """`W vec(x_{t-k+1..t}) + b`, number by number."""
    y = np.zeros(layer.features)
    for o in range(layer.features):
        y[o] = layer.b[o]
        for k in range(layer.window):
            for f in range(layer.features):
                y[o] += layer.W[o, k * layer.features + f] * past[k, f]
    return y


def predictions(layer, x):
    return np.stack([one_step(layer, x[i : i + layer.window]) for i in range(len(x) - layer.window + 1)])


def fed_back(layer, x, steps):
    series = list(x)
    for _ in range(steps):
        series.append(one_step(layer, np.stack(series[-layer.window :])))
    return np.stack(series[len(x) :])


def make(features, window, steps):
    """A layer and a series, both of random numbers."""
    draws = np.random.default_rng(steps)
    normal = lambda *shape: draws.normal(size=shape).astype(np.float32)  # noqa: E731
    layer = eqx.filter_eval_shape(lambda: AutoregressiveWindow(features, window, key=jax.random.key(0)))
    weights = normal(features, window * features) / np.float32(np.sqrt(window * features))
    return eqx.tree_at(lambda n: (n.W, n.b), layer, (weights, normal(features))), normal(steps, features)


@pytest.mark.parametrize(("features", "window", "steps"), [(1, 1, 1), (3, 5, 5), (2, 4, 11)])
def test_predicts_every_next_step(features, window, steps):
    layer, x = make(features, window, steps)
    assert jax.eval_shape(layer, x).shape == (steps - window + 1, features)
    check_layer(layer, (x,), predictions, eager=steps == 1)


@pytest.mark.parametrize(("features", "window", "ahead"), [(1, 4, 13), (3, 2, 8)])
def test_forecast_feeds_predictions_back(features, window, ahead):
    class Forecast(eqx.Module):
        inner: AutoregressiveWindow

        def __call__(self, x):
            return self.inner.forecast(x, ahead)

    layer, x = make(features, window, window + 2)
    check_layer(Forecast(layer), (x,), lambda outer, x: fed_back(outer.inner, x, ahead), eager=features == 1)


def test_the_first_forecast_is_the_last_prediction_and_depends_on_the_window_alone():
    layer, x = make(2, 3, 10)
    unseen = x.copy()
    unseen[:7] = np.nan
    run = jax.jit(lambda x: (layer.forecast(x, 5), layer(x)[-1]))
    forecast, last = run(x)
    np.testing.assert_allclose(forecast[0], last, rtol=1e-5)
    np.testing.assert_array_equal(forecast, run(unseen)[0])


def test_exact_weights_continue_a_sine():
    """sin(t + 1) = 2 cos(1) sin(t) - sin(t - 1), so a window of two holds a sine for ever."""
    layer, _ = make(1, 2, 2)
    weights = np.float32([[-1.0, 2 * np.cos(1.0)]])
    layer = eqx.tree_at(lambda n: (n.W, n.b), layer, (weights, np.zeros(1, np.float32)))
    t = np.arange(60.0)
    found = jax.jit(lambda x: layer.forecast(x, 50))(np.sin(t[:10, None]))[:, 0]
    np.testing.assert_allclose(found, np.sin(t[10:]), atol=1e-4)


def test_least_squares_is_a_fixed_point_of_the_gradient():
    series = np.random.default_rng(0).normal(size=(40, 2)).cumsum(0) / 5
    windows = np.stack([series[i : i + 3].ravel() for i in range(37)])
    solution = np.linalg.lstsq(np.c_[windows, np.ones(37)], series[3:], rcond=None)[0]
    layer, _ = make(2, 3, 3)
    layer = eqx.tree_at(lambda n: (n.W, n.b), layer, (np.float32(solution[:-1].T), np.float32(solution[-1])))
    x = np.float32(series)
    gradient = jax.jit(jax.grad(lambda n: jnp.mean((n(x[:-1]) - x[3:]) ** 2)))(layer)
    for leaf in jax.tree.leaves(gradient):
        np.testing.assert_allclose(leaf, 0, atol=1e-5)


def test_weights_start_uniform_within_their_bound():
    layer = jax.jit(lambda: AutoregressiveWindow(4, 25, key=quick_key()))()
    for leaf in (layer.W, layer.b):
        assert np.abs(leaf).max() <= 0.1
    assert np.abs(layer.W).max() > 0.095
    assert abs(np.mean(layer.W)) < 4 * 0.1 / np.sqrt(3 * layer.W.size)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda n: n(np.zeros(8)), "input has shape (8,), expected (time, 2)"),
        (lambda n: n(np.zeros((8, 3))), "input has shape (8, 3), expected (time, 2)"),
        (lambda n: n(np.zeros((4, 8, 2))), "input has shape (4, 8, 2), expected (time, 2)"),
        (lambda n: n(np.zeros((3, 2))), "input has 3 steps, expected at least 4"),
        (
            lambda n: n.forecast(np.zeros((3, 2)), 5),
            "input has 3 steps, expected at least 4",
        ),
        (lambda n: n.forecast(np.zeros((8, 1)), 5), "input has shape (8, 1), expected (time, 2)"),
        (lambda n: n.forecast(np.zeros((8, 2)), 0), "steps must be a whole number of at least 1, got 0"),
        (lambda n: n.forecast(np.zeros((8, 2)), 1.5), "steps must be a whole number of at least 1, got 1.5"),
        (lambda n: AutoregressiveWindow(0, 4, key=jax.random.key(0)), "features must be a whole number"),
        (lambda n: AutoregressiveWindow(2, 0, key=jax.random.key(0)), "window must be a whole number"),
    ],
)
def test_bad_input_is_refused_in_one_line(call, message):
    layer, _ = make(2, 4, 4)
    with pytest.raises(UsageError) as caught:
        call(layer)
    assert str(caught.value).startswith("AutoregressiveWindow: " + message)
    assert "\n" not in str(caught.value)
