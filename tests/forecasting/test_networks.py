"""Networks of forecasters: shapes, and DLinear against NumPy."""

import equinox as eqx
import jax
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.forecasting import networks
from populace.forecasting.nhits import NHiTS


def test_every_network_maps_a_window_to_its_outputs():
    plans = [
        networks.LinearNetwork(),
        networks.DLinear(),
        networks.ForecastMLP(hidden_sizes=(5,)),
        networks.WaveNet(channels=3, layers=2),
        NHiTS(hidden_sizes=(4,)),
        *(networks.RecurrentNetwork(cell=cell, hidden_size=3) for cell in ("lstm", "gru", "rnn")),
    ]
    for plan in plans:
        found = eqx.filter_eval_shape(
            lambda key, p=plan: p.build(10, 3, 2, key=key)(np.zeros(10, np.float32)), jax.random.key(0)
        )
        assert found.shape == (6,), plan


def test_dlinear_adds_what_it_makes_of_trend_and_rest():
    network = networks.DLinear(kernel_size=5, init_std=0.1).build(12, 3, 1, key=jax.random.key(0))
    x = np.random.default_rng(0).normal(size=12).astype(np.float32)
    padded = np.concatenate([[x[0]] * 2, x, [x[-1]] * 2])
    trend = np.array([padded[i : i + 5].mean() for i in range(12)])
    weights = [np.asarray(layer.weight) for layer in (network.trend, network.season)]
    expected = weights[0] @ trend + weights[1] @ (x - trend)
    assert np.allclose(jax.jit(network.__call__)(x), expected, atol=1e-5)
    assert np.abs(weights[0].mean() - 1 / 12) < 0.05


def test_blocks_pool_the_rest_and_join_their_knots_by_lines():
    plan = NHiTS(pools=(4, 1), spacings=(3, 1), hidden_sizes=(5,))
    network = plan.build(10, 6, 2, key=jax.random.key(1))
    x = np.random.default_rng(0).normal(size=10).astype(np.float32)
    rest, total = x.astype(np.float64), np.zeros((6, 2))
    for block, pool, spacing in zip(network.blocks, plan.pools, plan.spacings):
        padded = np.concatenate([[rest[0]] * (-10 % pool), rest])
        h = padded.reshape(-1, pool).max(1)
        first, last = ((np.asarray(n.weight), np.asarray(n.bias)) for n in block.body.layers)
        found = last[0] @ np.maximum(first[0] @ h + first[1], 0) + last[1]
        count = -(-10 // spacing)
        at = np.linspace(0, count - 1, 10)
        knots = np.linspace(0, -(-6 // spacing) - 1, 6)
        ahead = found[count:].reshape(-1, 2)
        total += np.stack([np.interp(knots, np.arange(len(ahead)), column) for column in ahead.T], 1)
        rest = rest - np.interp(at, np.arange(count), found[:count])
    assert np.allclose(jax.jit(network.__call__)(x), total.reshape(-1), atol=1e-5)
    with pytest.raises(UsageError, match="one number per block each, got 2 and 3"):
        NHiTS(pools=(2, 1))
