"""A2C's gradient against that of its loss, written out frame by frame."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.rl.agents.a2c import A2C
from populace.rl.agents.on_policy import values
from tests.rl.targets.test_advantages import advantages_by_loop


def captured(learner: A2C, state, rollout):
    """Return the gradient of policy and critic."""
    seen = []

    class Rule:
        def update(self, gradient, state):
            seen.append(gradient)
            return jax.tree.map(jnp.zeros_like, gradient), state

    spied = type("Spied", (A2C,), {"rule": Rule()})
    plain = spied(**{f.name: getattr(learner, f.name) for f in dataclasses.fields(learner)})
    plain.learn(state.model, (None, None), rollout, jax.random.key(0), jnp.float32(0.1))
    return seen


@pytest.mark.parametrize("normalise", [False, True])
def test_the_gradient_is_that_of_the_formula(normalise):
    learner = A2C(
        num_envs=2, rollout=5, hidden_sizes=(4,), discount=0.9, gae_lambda=0.8, value_coefficient=0.3, entropy_coefficient=0.05,
        max_gradient_norm=0.0, normalize_advantages=normalise,
    )  # fmt: skip
    learner.check()  # makes the environment, before anything is traced
    state = eqx.filter_jit(learner.init)(jax.random.key(0))
    # the last layer of a fresh policy is so small that hardly any gradient comes through it
    policy = jax.tree.map(
        lambda x: x + 0.5 * jnp.cos(jnp.arange(x.size)).reshape(x.shape), state.model.policy
    )
    state = eqx.tree_at(lambda s: s.model.policy, state, policy)
    _, rollout, _ = eqx.filter_jit(learner.interact)(state, jax.random.key(1))
    critic = state.model.critic
    assert critic is not None
    value, following = (
        np.asarray(values(critic, x)) for x in (rollout.observation, rollout.next_observation)
    )
    ends = np.asarray(rollout.terminated), np.asarray(rollout.over)
    advantage = advantages_by_loop(np.asarray(rollout.reward), *ends, value, following, 0.9, 0.8)
    target = advantage + value
    if normalise:
        advantage = (advantage - advantage.mean()) / advantage.std()

    def loss(networks):
        total = 0.0
        for t in range(5):
            for i in range(2):
                distribution = networks[0](rollout.observation[t, i])
                total -= advantage[t, i] * distribution.log_probability(rollout.action[t, i])
                total += 0.3 * 0.5 * (values(networks[1], rollout.observation[t, i]) - target[t, i]) ** 2
                total -= 0.05 * distribution.entropy_coefficient()
        return total / 10

    expected = eqx.filter_jit(eqx.filter_grad(loss))((state.model.policy, critic))
    found = captured(learner, state, rollout)
    for one, other in zip(jax.tree.leaves(tuple(found)), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)
        assert np.any(np.abs(other) > 1e-3)
