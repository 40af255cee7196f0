import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.nn.attention.feature_maps import EluFeatures, RandomFeatures, ReluFeatures
from populace.nn.primitives.buffer import trainable

X = jnp.asarray(np.random.default_rng(0).normal(size=(5, 4)), jnp.float32)


def random_map(features=8, width=4, seed=0, orthogonal=True):
    return RandomFeatures(width, features, orthogonal=orthogonal, key=jax.random.key(seed))


@pytest.mark.parametrize("phi", [EluFeatures(), ReluFeatures(), random_map()], ids=["elu", "relu", "random"])
def test_scaled_features_are_the_features(phi):
    features, logarithm = phi.scaled(X)
    np.testing.assert_allclose(features * jnp.exp(logarithm)[:, None], phi(X), rtol=1e-6)
    assert (phi(X) >= 0).all()


def test_elu_and_relu():
    x = jnp.asarray([[-2.0, 0.0, 3.0]])
    np.testing.assert_allclose(EluFeatures()(x), [[np.exp(-2.0), 1.0, 4.0]], rtol=1e-6)
    np.testing.assert_array_equal(ReluFeatures()(x), [[0.0, 0.0, 3.0]])


def estimates(q, k, orthogonal, draws=4000, features=8):
    """Estimates of one weight, each from two blocks of directions that no other estimate uses."""
    phi = random_map(features=draws * features, orthogonal=orthogonal, seed=1)
    products = np.asarray(phi(q[None])[0], np.float64) * phi(k[None])[0] * draws * features
    return products.reshape(draws, features).mean(axis=1)


@pytest.mark.parametrize("orthogonal", [False, True])
def test_random_features_are_softmax_in_the_mean(orthogonal):
    q, k = X[0], X[1]
    found = estimates(q, k, orthogonal)
    error = found.std() / np.sqrt(len(found))
    assert abs(found.mean() - np.exp(q @ k / 2)) < 4 * error
    assert error < 0.05 * found.mean()


def test_variance_is_as_documented_and_lower_with_orthogonal_directions():
    q, k = X[0] / 2, X[1] / 2
    relative = estimates(q, k, False).var() / np.exp(q @ k / 2) ** 2
    expected = (np.exp(jnp.sum((q + k) ** 2) / 2) - 1) / 8  # |q' + k'|^2 = |q + k|^2 / sqrt(4)
    assert abs(relative / expected - 1) < 0.3
    assert estimates(q, k, True).var() < 0.95 * estimates(q, k, False).var()


def test_directions_are_orthogonal_in_blocks_with_lengths_of_a_normal():
    directions = random_map(features=10, width=4).directions.value
    assert directions.shape == (10, 4)
    for block in (directions[:4], directions[4:8], directions[8:]):
        gram = block @ block.T
        np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-4)
    long = random_map(features=4000, width=4).directions.value
    assert abs(float(jnp.mean(jnp.sum(long**2, axis=1))) - 4) < 0.2
    np.testing.assert_allclose(long.T @ long / 4000, np.eye(4), atol=0.1)
    np.testing.assert_allclose(long.mean(0), 0, atol=0.06)


def test_directions_are_not_learned():
    phi = random_map()
    assert not any(jax.tree.leaves(trainable(phi)))
    gradient = eqx.filter_grad(lambda phi: phi(X).sum())(phi)
    assert not gradient.directions.value.any()


def test_bad_sizes_are_named():
    with pytest.raises(UsageError, match="RandomFeatures: width is 0 and features 8"):
        random_map(width=0)
    with pytest.raises(UsageError, match=r"RandomFeatures: input has shape \(5, 3\), expected \(length, 4\)"):
        random_map()(X[:, :3])
