"""Policies: the distribution that a network's outputs stand for, and the noise that it takes."""

import jax
import numpy as np
import pytest

from populace.rl.environments import registry
from populace.rl.networks import actor_critic
from populace.rl.networks.actor_critic import Policy
from populace.rl.networks.distributions import Categorical, Gaussian
from populace.rl.networks.mlp import Network
from populace.rl.spaces import features
from tests.draws import filled


@pytest.mark.parametrize(
    ("env", "kind", "outputs"), [("CartPole-v1", Categorical, 2), ("Pendulum-v1", Gaussian, 1)]
)
def test_outputs_are_logits_where_actions_are_discrete_and_means_where_they_are_continuous(
    env, kind, outputs
):
    task = registry.make(env)
    x = np.random.default_rng(0).normal(size=(5, *task.observation_shape)).astype(np.float32)

    def built() -> Policy:
        network = Network(features(task), (4,), actor_critic.outputs(task), 0.01, "tanh", jax.random.key(0))
        return Policy(task, network, 0.7)

    policy = filled(built)
    distribution, told = jax.jit(lambda policy, x: (policy(x), policy.network(x)))(policy, x)
    assert isinstance(distribution, kind)
    assert told.shape == (5, outputs)
    assert jax.eval_shape(lambda: policy.noise(jax.random.key(1), (3, 5))).shape == (3, 5, outputs)
    if kind is Gaussian:
        np.testing.assert_array_equal(distribution.mean, told)
        np.testing.assert_array_equal(distribution.log_deviation, policy.log_deviation)
    else:
        np.testing.assert_array_equal(distribution.logits, told)
