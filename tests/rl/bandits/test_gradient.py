"""The gradient bandit against its formula, and against the gradient that it samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.rl.bandits import GradientRule
from populace.rl.bandits.gradient import Preferences
from populace.rl.exploration.strategies import draw
from tests.rl.bandits.pulls import ACTIONS, ARMS, REWARDS, assert_shares, learned


@pytest.mark.parametrize("baseline", [True, False])
def test_the_gradient_bandit_climbs_the_sampled_gradient(baseline):
    rule = GradientRule(step_size=0.05, baseline=baseline)
    h, seen = np.zeros(ARMS), []
    for action, reward in zip(ACTIONS, REWARDS):
        policy = np.exp(h) / np.exp(h).sum()
        b = (np.mean(seen) if seen else reward) if baseline else 0.0
        for arm in range(ARMS):  # the two cases of Sutton & Barto's equation 2.12
            h[arm] += 0.05 * (reward - b) * ((1 - policy[arm]) if arm == action else -policy[arm])
        seen.append(reward)
    state, found = learned(rule)
    np.testing.assert_allclose(state.preferences, h, rtol=2e-3, atol=2e-4)
    assert_shares(found, np.exp(h) / np.exp(h).sum())


@pytest.mark.parametrize("baseline", [True, False])
def test_the_gradient_step_is_the_gradient_of_the_expected_reward_in_the_mean(baseline):
    means = np.array([0.3, 1.0, -0.5, 2.0])
    rule = GradientRule(step_size=1.0, baseline=baseline)
    state, _ = learned(GradientRule(step_size=0.02))

    def step(key):
        arm = rule.choose(key, state, jnp.int32(0))
        reward = jnp.asarray(means, jnp.float32)[arm]
        return rule.learn(state, jax.nn.one_hot(arm, ARMS), reward).preferences - state.preferences

    steps = jax.jit(lambda: jax.vmap(step)(jax.random.split(jax.random.key(1), 100_000)))()
    steps = np.asarray(steps, np.float64)
    policy = np.exp(state.preferences.astype(float)) / np.exp(state.preferences.astype(float)).sum()
    exact = policy * (means - policy @ means)  # of the softmax: pi_a (mu_a - sum_b pi_b mu_b)
    error = steps.std(0) / np.sqrt(len(steps))
    assert (np.abs(steps.mean(0) - exact) <= 4.5 * error).all()


def test_draws_of_a_policy_are_those_of_the_gradient_rule():
    @jax.jit
    def both(key, preferences):
        state = Preferences(preferences, jnp.float32(0), jnp.float32(0))
        return GradientRule().choose(key, state, jnp.int32(0)), draw(key, jax.nn.softmax(preferences))

    for seed in range(20):
        ours, theirs = both(jax.random.key(seed), np.array([0.5, -0.2, 0.1, 0.3], np.float32))
        assert ours == theirs


def test_its_step_size_is_checked():
    with pytest.raises(UsageError, match="step_size"):
        GradientRule(step_size=0.0)
