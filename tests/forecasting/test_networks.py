"""Networks of forecasters: shapes, and DLinear against NumPy."""

import equinox as eqx
import jax
import numpy as np

from populace.forecasting import networks


def test_every_network_maps_a_window_to_its_outputs():
    plans = [
        networks.LinearNetwork(),
        networks.DLinear(),
        networks.ForecastMLP(hidden_sizes=(5,)),
        networks.WaveNet(channels=3, layers=2),
        *(networks.RecurrentNetwork(cell=cell, hidden_size=3) for cell in ("lstm", "gru", "rnn")),
    ]
    for plan in plans:
        found = eqx.filter_eval_shape(
            lambda key, p=plan: p.build(10, 6, key=key)(np.zeros(10, np.float32)), jax.random.key(0)
        )
        assert found.shape == (6,), plan


def test_dlinear_adds_what_it_makes_of_trend_and_rest():
    network = networks.DLinear(kernel_size=5, init_std=0.1).build(12, 3, key=jax.random.key(0))
    x = np.random.default_rng(0).normal(size=12).astype(np.float32)
    padded = np.concatenate([[x[0]] * 2, x, [x[-1]] * 2])
    trend = np.array([padded[i : i + 5].mean() for i in range(12)])
    weights = [np.asarray(layer.weight) for layer in (network.trend, network.season)]
    expected = weights[0] @ trend + weights[1] @ (x - trend)
    assert np.allclose(jax.jit(network.__call__)(x), expected, atol=1e-5)
    assert np.abs(weights[0].mean() - 1 / 12) < 0.05
