"""Features against their formulas."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.rl.environments import registry
from populace.rl.tabular.features import Fourier, Raw, Table

LINE, INDEX = "LineWorld-v0", "LineWorld-v0(observation='index')"


def test_a_table_has_a_value_for_every_state():
    basis = Table().of(registry.make(INDEX))

    @jax.jit
    def seen(observation):
        weights, x = basis.start(2.5, 2), basis.encode(observation)
        changed = basis.add(weights, x, jnp.int32(1), jnp.float32(0.5))
        return weights, changed, basis.values(changed, x), basis.dense(x)

    weights, changed, values, dense = seen(np.int32(3))
    assert weights.shape == (10, 2)
    np.testing.assert_allclose(values, [2.5, 3.0])
    assert np.sum(np.asarray(changed) != 2.5) == 1
    np.testing.assert_allclose(dense, np.eye(10)[3])


@pytest.mark.parametrize("constant", [True, False])
def test_raw_features_are_the_observation(constant):
    basis = Raw(constant=constant).of(registry.make("CartPole-v1"))
    seen = np.array([1.0, -2.0, 3.0, 0.5], np.float32)
    expected = [*seen, *([1.0] if constant else [])]

    @jax.jit
    def run(seen):
        weights, x = basis.start(3.0, 2), basis.encode(seen)
        return x, weights, basis.values(weights, x), basis.add(weights, x, jnp.int32(1), jnp.float32(0.1))

    x, weights, values, changed = map(np.asarray, run(seen))
    np.testing.assert_allclose(x, expected)
    np.testing.assert_allclose(values, [3.0, 3.0] if constant else [0.0, 0.0])
    np.testing.assert_allclose(changed[:, 1] - weights[:, 1], 0.1 * np.array(expected), rtol=1e-5)
    np.testing.assert_allclose(changed[:, 0], weights[:, 0])


def test_fourier_features_are_cosines():
    basis = Fourier(order=2).of(registry.make("MountainCar-v0"))
    seen = np.array([-0.3, 0.02])
    scaled = (seen - [-1.2, -0.07]) / [1.8, 0.14]
    waves = list(itertools.product(range(3), repeat=2))
    expected = [np.cos(np.pi * np.dot(c, scaled)) for c in waves]

    @jax.jit
    def run(seen):
        weights, x = basis.start(-1.0, 3), basis.encode(seen)
        added = basis.add(weights, x, jnp.int32(0), jnp.float32(1.0))
        add_trace = basis.add_trace(weights, jnp.ones((9, 3)), jnp.float32(2.0))
        return x, basis.values(weights, x), added - weights, add_trace - weights

    x, values, added, add_trace = map(np.asarray, run(seen.astype(np.float32)))
    np.testing.assert_allclose(x, expected, atol=1e-5)
    np.testing.assert_allclose(values, -1.0)
    change = added[:, 0]
    scale = [1 / (np.linalg.norm(c) or 1.0) for c in waves]
    np.testing.assert_allclose(change, np.multiply(scale, expected), atol=1e-5)
    np.testing.assert_allclose(add_trace[:, 2], 2.0 * np.array(scale), rtol=1e-5)


def test_observations_outside_the_bounds_are_clipped():
    basis = Fourier(order=1, low=(-1.0,) * 4, high=(1.0,) * 4).of(registry.make("CartPole-v1"))
    encode = jax.jit(basis.encode)
    far, edge = (encode(np.full(4, x, np.float32)) for x in (9.0, 1.0))
    np.testing.assert_allclose(far, edge)


@pytest.mark.parametrize(
    ("features", "env", "message"),
    [
        (
            Table(),
            "CartPole-v1",
            "observations of 4 numbers, but a table needs the index of a state: set bins",
        ),
        (Raw(), INDEX, "features 'raw' need vectors; use features 'table'"),
        (Fourier(), INDEX, "features 'fourier' need vectors; use features 'table'"),
        (Fourier(), "CartPole-v1", r"infinite bound \(low of dimension 1\): set features.low"),
        (
            Fourier(low=(0.0,)),
            "CartPole-v1",
            "features.low needs 4 numbers for environment 'CartPole-v1', got 1",
        ),
        (Fourier(low=(0.0, 0.0), high=(1.0, 0.0)), "MountainCar-v0", "must be below features.high"),
        (Fourier(order=9), LINE, "10,000,000,000 features; the maximum is 100,000: lower features.order"),
    ],
)
def test_unsuitable_features_are_refused(features, env, message):
    with pytest.raises(UsageError, match=message):
        features.of(registry.make(env))
