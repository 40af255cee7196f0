"""Distributions against SciPy, networks against plain NumPy, and actions in their bounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from populace.rl.environments import registry
from populace.rl.networks.actor_critic import Policy
from populace.rl.networks.distributions import Categorical, Gaussian
from populace.rl.networks.mlp import ACTIVATIONS, Network, orthogonal
from populace.rl.spaces import to_env_action, flat
from tests.rl import probes_policy


def test_gaussian_log_probability_and_entropy_are_scipys():
    rng = np.random.default_rng(0)
    mean, log_s, action = rng.normal(size=(5, 3)), rng.normal(size=3), rng.normal(size=(5, 3))
    normal = Gaussian(jnp.asarray(mean), jnp.asarray(log_s))
    expected = stats.norm(mean, np.exp(log_s)).logpdf(action).sum(-1)
    np.testing.assert_allclose(normal.log_probability(jnp.asarray(action)), expected, rtol=1e-4)
    entropy = stats.multivariate_normal(np.zeros(3), np.diag(np.exp(2 * log_s))).entropy()
    np.testing.assert_allclose(normal.entropy(), np.full(5, entropy), rtol=1e-5)
    np.testing.assert_array_equal(normal.mode(), np.float32(mean))


def test_categorical_log_probability_and_entropy_are_scipys():
    logits = np.random.default_rng(1).normal(size=(6, 4))
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    action = np.array([0, 1, 2, 3, 0, 1])
    categorical = Categorical(jnp.asarray(logits))
    np.testing.assert_allclose(
        categorical.log_probability(jnp.asarray(action)), np.log(p[np.arange(6), action]), rtol=1e-4
    )
    np.testing.assert_allclose(categorical.entropy(), stats.entropy(p, axis=-1), rtol=1e-5)
    np.testing.assert_array_equal(categorical.mode(), p.argmax(-1))


def test_log_probabilities_stay_finite_where_logits_are_extreme():
    extreme = Categorical(jnp.array([1e4, -1e4]))
    assert float(extreme.log_probability(jnp.int32(0))) == 0
    assert np.isfinite(float(extreme.log_probability(jnp.int32(1))))
    assert float(extreme.entropy()) == 0


@pytest.mark.parametrize("env", ["CartPole-v1", "Pendulum-v1"])
def test_samples_follow_the_distribution(env):
    policy = Policy(registry.make(env), (4,), "tanh", 0.7, jax.random.key(0))
    noise = policy.noise(jax.random.key(1), (20_000,))
    if env == "CartPole-v1":
        drawn = np.asarray(Categorical(jnp.log(jnp.array([0.3, 0.7]))).sample(noise))
        assert stats.binomtest(int(drawn.sum()), len(drawn), 0.7).pvalue > 1e-3
    else:
        drawn = np.asarray(Gaussian(jnp.array([0.4]), policy.log_deviation).sample(noise))[:, 0]
        assert stats.kstest(drawn, stats.norm(0.4, 0.7).cdf).pvalue > 1e-3


def test_a_network_is_matrices_and_what_is_between_them():
    network = Network(3, (5, 4), 2, 0.01, "tanh", jax.random.key(0))
    x = np.random.default_rng(0).normal(size=(7, 2, 3)).astype(np.float32)
    h = x
    for W, b in zip(network.weights[:-1], network.biases[:-1]):
        h = np.tanh(h @ np.asarray(W).T + np.asarray(b))
    expected = h @ np.asarray(network.weights[-1]).T + np.asarray(network.biases[-1])
    np.testing.assert_allclose(network(jnp.asarray(x)), expected, atol=1e-6)
    np.testing.assert_allclose(network(jnp.asarray(x[0, 0])), expected[0, 0], atol=1e-6)
    assert set(ACTIVATIONS) == {"tanh", "relu", "elu", "silu"}


@pytest.mark.parametrize(("rows", "columns"), [(3, 8), (8, 3), (16, 16), (1, 4)])
def test_weights_start_orthogonal(rows, columns):
    matrix = np.asarray(orthogonal(jax.random.key(0), rows, columns))
    gram = matrix @ matrix.T if rows <= columns else matrix.T @ matrix
    np.testing.assert_allclose(gram, np.eye(min(rows, columns)), atol=1e-5)


def test_directions_at_the_start_are_all_alike():
    draw = jax.vmap(lambda key: orthogonal(key, 2, 3))(jax.random.split(jax.random.key(0), 4000))
    np.testing.assert_allclose(np.mean(np.asarray(draw), 0), 0, atol=0.05)
    np.testing.assert_allclose(np.mean(np.asarray(draw) ** 2, 0), 1 / 3, atol=0.02)


def test_actions_are_in_units_of_the_box_and_never_leave_it():
    task = registry.make("ProbeChosenContinuous-test")
    raw = jnp.array([[-1.0], [0.0], [1.0], [-7.0], [7.0], [0.5]])
    low, high = probes_policy.LOW, probes_policy.HIGH
    np.testing.assert_allclose(to_env_action(task, raw)[:, 0], [low, (low + high) / 2, high, low, high, 2.0])
    assert to_env_action(registry.make("CartPole-v1"), jnp.int32(1)) == 1


@pytest.mark.parametrize(("low", "high"), [(-2.0, np.inf), (-np.inf, np.inf)])
def test_a_box_without_bounds_keeps_its_own_units(low, high):
    class Open:
        box = (np.array([low]), np.array([high]))
        action_shape = (1,)

    given = to_env_action(Open(), jnp.array([[0.3], [-5.0]]))  # pyright: ignore[reportArgumentType]
    np.testing.assert_allclose(given[:, 0], [0.3, max(low, -5.0)], rtol=1e-6)


def test_states_that_are_numbers_are_seen_one_hot():
    class Numbered:
        states = 4

    seen = flat(Numbered(), jnp.array([[0, 3]]))  # pyright: ignore[reportArgumentType]
    np.testing.assert_array_equal(seen, np.eye(4)[[[0, 3]]])
