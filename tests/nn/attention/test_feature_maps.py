from functools import cache

import equinox as eqx
import jax
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.nn.attention.feature_maps import EluFeatures, RandomFeatures, ReluFeatures
from populace.nn.primitives.buffer import trainable
from tests.nn.attention.formulas import MAPS
from tests.nn.draws import draw, filled, quick_key

X = draw(5, 4)


@pytest.mark.parametrize("name", MAPS)
def test_scaled_features_are_the_features(name):
    phi = MAPS[name]
    (features, logarithm), whole = jax.jit(lambda x: (phi.scaled(x), phi(x)))(X)
    np.testing.assert_allclose(features * np.exp(logarithm)[:, None], whole, rtol=1e-6)
    assert (np.asarray(whole) >= 0).all()


def test_elu_and_relu():
    x = np.float32([[-2.0, 0.0, 3.0, -18.0, -80.0]])  # of the last two elu itself is -1 in float32
    elu, relu = jax.jit(lambda x: (EluFeatures()(x), ReluFeatures()(x)))(x)
    np.testing.assert_allclose(elu, [[np.exp(-2.0), 1.0, 4.0, np.exp(-18.0), np.exp(-80.0)]], rtol=1e-6)
    np.testing.assert_array_equal(relu, [[0.0, 0.0, 3.0, 0.0, 0.0]])


@cache
def estimates(scale, orthogonal, draws=4000, features=8):
    """Estimates of one weight, each from two blocks of directions that no other estimate uses."""

    @jax.jit
    def run(q, k):
        phi = RandomFeatures(4, draws * features, orthogonal=orthogonal, key=quick_key(1))
        return phi(q[None])[0], phi(k[None])[0]

    by_query, by_key = (np.float64(found) for found in run(*(np.float32(scale) * X[:2])))
    return (by_query * by_key * draws * features).reshape(draws, features).mean(axis=1)


@pytest.mark.parametrize("orthogonal", [False, True])
def test_random_features_are_softmax_in_the_mean(orthogonal):
    found = estimates(1, orthogonal)
    error = found.std() / np.sqrt(len(found))
    assert abs(found.mean() - np.exp(X[0] @ X[1] / 2)) < 4 * error
    assert error < 0.05 * found.mean()


def test_variance_is_as_documented_and_lower_with_orthogonal_directions():
    q, k = X[:2] / 2
    relative = estimates(0.5, False).var() / np.exp(q @ k / 2) ** 2
    expected = (np.exp(np.sum((q + k) ** 2) / 2) - 1) / 8  # |q' + k'|^2 = |q + k|^2 / sqrt(4)
    assert abs(relative / expected - 1) < 0.3
    assert estimates(0.5, True).var() < 0.95 * estimates(0.5, False).var()


def test_directions_are_orthogonal_in_blocks_with_lengths_of_a_normal():
    draws = jax.jit(lambda: [RandomFeatures(4, f, key=quick_key()).directions.value for f in (10, 4000)])
    directions, long = map(np.asarray, draws())
    assert directions.shape == (10, 4)
    for block in (directions[:4], directions[4:8], directions[8:]):
        gram = block @ block.T
        np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-4)
    assert abs(float(np.mean(np.sum(long**2, axis=1))) - 4) < 0.2
    np.testing.assert_allclose(long.T @ long / 4000, np.eye(4), atol=0.1)
    np.testing.assert_allclose(long.mean(0), 0, atol=0.06)


def test_directions_are_not_learned():
    phi = MAPS["random"]
    assert not any(jax.tree.leaves(trainable(phi)))
    gradient = eqx.filter_jit(eqx.filter_grad(lambda phi: phi(X).sum()))(phi)
    assert not np.any(gradient.directions.value)


def test_bad_sizes_are_named():
    with pytest.raises(UsageError, match="RandomFeatures: width is 0 and features 8"):
        filled(lambda key: RandomFeatures(0, 8, key=key))
    with pytest.raises(UsageError, match=r"RandomFeatures: input has shape \(5, 3\), expected \(length, 4\)"):
        MAPS["random"](X[:, :3])
