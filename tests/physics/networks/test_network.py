"""Networks and embeddings against NumPy, and that what is drawn once is never trained."""

from typing import Any

import jax
import numpy as np
import pytest

import populace.physics as ph
from populace.core.errors import UsageError
from tests.physics.problems import line

DOMAIN = ph.Rectangle((1, -2), (4, 2))
POINTS = np.random.default_rng(0).uniform([1, -2], [4, 2], (9, 2)).T
SCALED = (POINTS - np.asarray([[2.5], [0.0]])) / np.asarray([[1.5], [2.0]])


def values(network: ph.PINNetwork, points: np.ndarray = POINTS) -> tuple[Any, np.ndarray]:
    with jax.enable_x64(True):
        built = network.build(DOMAIN, 2, key=jax.random.key(0), dtype="float64")
        return built, np.asarray(jax.jit(lambda net, x: net(x))(built, points))


def affine(layer: Any, x: np.ndarray) -> np.ndarray:
    return np.asarray(layer.weight) @ x + np.asarray(layer.bias)[:, None]


def test_the_modified_mlp_mixes_two_embeddings() -> None:
    built, found = values(ph.ModifiedMLP(hidden_size=5, hidden_layers=2))
    u, v = (np.tanh(affine(gate, SCALED)) for gate in built.gates)
    h = SCALED
    for layer in built.layers[:-1]:
        z = np.tanh(affine(layer, h))
        h = (1 - z) * u + z * v
    assert np.allclose(found, affine(built.layers[-1], h), rtol=1e-12, atol=1e-12)


def test_fourier_features_are_waves_of_a_given_scale() -> None:
    built, found = values(
        ph.MLP(hidden_sizes=(4,), embedding=ph.FourierFeatures(waves=400, scale=3.0), activation="sin")
    )
    directions = np.asarray(built.embedding.directions.value)
    assert abs(directions.std() - 3.0) < 0.3
    phase = 2 * np.pi * directions @ SCALED
    h = np.sin(affine(built.layers[0], np.concatenate([np.cos(phase), np.sin(phase)])))
    assert np.allclose(found, affine(built.layers[1], h), rtol=1e-9, atol=1e-9)


def test_a_periodic_embedding_makes_fields_periodic_with_that_period_and_no_shorter_one() -> None:
    network = ph.MLP(hidden_sizes=(6,), embedding=ph.PeriodicEmbedding("y", harmonics=2))
    shifts = np.asarray([0.0, 4.0, -8.0, 2.0])
    moved = np.concatenate([POINTS + np.asarray([[0.0], [s]]) for s in shifts], 1)
    _, found = values(network, moved)
    here, one, two, half = np.split(found, 4, 1)
    assert np.allclose(here, one, atol=1e-12)
    assert np.allclose(here, two, atol=1e-12)
    assert np.abs(here - half).max() > 1e-2
    with pytest.raises(UsageError, match="unknown coordinate 'z' of a periodic embedding"):
        values(ph.MLP(embedding=ph.PeriodicEmbedding("z")))
    with pytest.raises(UsageError, match="periodic along space, and 't' is time"):
        ph.PeriodicEmbedding("t").build(ph.TimeOnly(0, 1), jax.random.key(0), "float64")


def test_waves_that_are_drawn_once_are_never_trained() -> None:
    network = ph.MLP(hidden_sizes=(4,), embedding=ph.FourierFeatures(waves=3))
    learner = ph.PINN(problem=line(), network=network, points=12, gradient_steps=2, weight_decay=0.1)

    @jax.jit
    def trained(key: jax.Array) -> Any:
        first = learner.init(key)
        last = jax.lax.fori_loop(0, 5, lambda _, s: learner.step(s, key)[0], first)
        return first.model.network, last.model.network

    with jax.enable_x64(True):
        first, last = trained(jax.random.key(0))
        assert np.array_equal(first.embedding.directions.value, last.embedding.directions.value)
        assert not np.array_equal(first.layers[0].weight, last.layers[0].weight)
