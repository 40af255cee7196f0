"""One sequence of pulls and rewards for the tests of rules, and what a rule learns from it."""

import jax
import jax.numpy as jnp
import numpy as np

ARMS, PULLS = 4, 300
RNG = np.random.default_rng(5)
ACTIONS = np.concatenate([np.arange(ARMS), RNG.choice(ARMS, PULLS - ARMS, p=[0.6, 0.2, 0.1, 0.1])])
REWARDS = RNG.normal(1.0 + ACTIONS, 0.5)


def learned(rule, actions=ACTIONS, rewards=REWARDS, draws=40_000):
    """Return the rule's state after the sequence, and how often each arm is chosen then."""

    def learn(state, pull):
        return rule.learn(state, jax.nn.one_hot(pull[0], ARMS), pull[1]), None

    @jax.jit
    def run(actions, rewards):
        state, _ = jax.lax.scan(learn, rule.init(ARMS), (actions, rewards))
        keys = jax.random.split(jax.random.key(3), draws)
        return state, jax.vmap(rule.choose, (0, None, None))(keys, state, jnp.int32(PULLS))

    state, chosen = jax.device_get(run(actions, rewards.astype(np.float32)))
    return state, np.bincount(chosen, minlength=ARMS) / draws


def assert_shares(found, expected, draws=40_000):
    """Assert that arms were chosen as often as expected, within 4.5 standard deviations."""
    deviation = np.sqrt(expected * (1 - expected) / draws) + 1e-9
    assert (np.abs(found - expected) <= 4.5 * deviation).all(), (found, expected)


def averages():
    """Return the mean reward of each arm."""
    return np.array([REWARDS[a == ACTIONS].mean() for a in range(ARMS)])
