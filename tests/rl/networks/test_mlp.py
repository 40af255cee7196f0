"""Multilayer perceptrons against plain NumPy, and where their weights start."""

import jax
import numpy as np
import pytest

from populace.rl.networks.mlp import Network, orthogonal
from tests.draws import filled


def test_a_network_is_matrices_and_what_is_between_them():
    x = np.random.default_rng(0).normal(size=(7, 2, 3)).astype(np.float32)
    network = filled(lambda: Network(3, (5, 4), 2, 0.01, "tanh", jax.random.key(0)))
    batch, single = jax.jit(lambda network, x: (network(x), network(x[0, 0])))(network, x)
    h = x
    for W, b in zip(network.weights[:-1], network.biases[:-1]):
        h = np.tanh(h @ W.T + b)
    expected = h @ network.weights[-1].T + network.biases[-1]
    np.testing.assert_allclose(batch, expected, atol=1e-6)
    np.testing.assert_allclose(single, expected[0, 0], atol=1e-6)


@pytest.mark.parametrize(("rows", "columns"), [(3, 8), (8, 3), (16, 16), (1, 4)])
def test_weights_start_orthogonal(rows, columns):
    draw = jax.jit(lambda seed: orthogonal(jax.random.key(seed), rows, columns))
    matrix = np.asarray(draw(0))
    gram = matrix @ matrix.T if rows <= columns else matrix.T @ matrix
    np.testing.assert_allclose(gram, np.eye(min(rows, columns)), atol=1e-5)


def test_directions_at_the_start_are_all_alike():
    @jax.jit
    def draw(seed):
        return jax.vmap(lambda key: orthogonal(key, 2, 3))(jax.random.split(jax.random.key(seed), 4000))

    matrices = np.asarray(draw(0))
    np.testing.assert_allclose(np.mean(matrices, 0), 0, atol=0.05)
    np.testing.assert_allclose(np.mean(matrices**2, 0), 1 / 3, atol=0.02)
