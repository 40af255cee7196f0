"""Policies: the distribution that a network's outputs stand for, and the noise that it takes."""

import jax
import numpy as np
import pytest

from populace.rl.environments import registry
from populace.rl.networks.actor_critic import Policy
from populace.rl.networks.distributions import Categorical, Gaussian
from populace.rl.networks.mlp import ACTIVATIONS, Network, orthogonal
from populace.rl.spaces import flat, to_env_action
from tests.rl import probes_policy


@pytest.mark.parametrize(
    ("env", "kind", "outputs"), [("CartPole-v1", Categorical, 2), ("Pendulum-v1", Gaussian, 1)]
)
def test_outputs_are_logits_where_actions_are_discrete_and_means_where_they_are_continuous(
    env, kind, outputs
):
    task = registry.make(env)
    x = np.random.default_rng(0).normal(size=(5, *task.observation_shape)).astype(np.float32)

    policy = filled(lambda: Policy(task, (4,), "tanh", 0.7, jax.random.key(0)))
    distribution, told = jax.jit(lambda policy, x: (policy(x), policy.network(x)))(policy, x)
    assert isinstance(distribution, kind)
    assert told.shape == (5, outputs)
    assert jax.eval_shape(lambda: policy.noise(jax.random.key(1), (3, 5))).shape == (3, 5, outputs)
    if kind is Gaussian:
        np.testing.assert_array_equal(distribution.mean, told)
        np.testing.assert_array_equal(distribution.log_deviation, policy.log_deviation)
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
