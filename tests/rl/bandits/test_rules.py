"""Rules against independent NumPy loops: one sequence of pulls and rewards, learned by both."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.rl import Bandit
from populace.rl.bandits import (
    UCB1,
    BoltzmannRule,
    EpsilonGreedyRule,
    Gaussian,
    GaussianThompson,
    GradientRule,
    Thompson,
)
from populace.rl.bandits.gradient import Preferences
from populace.rl.exploration.strategies import Boltzmann, ExponentialDecay, LinearDecay, draw

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
    deviation = np.sqrt(expected * (1 - expected) / draws) + 1e-9
    assert (np.abs(found - expected) <= 4.5 * deviation).all(), (found, expected)


def averages(rewards=REWARDS):
    return np.array([rewards[a == ACTIONS].mean() for a in range(ARMS)])


def test_a_sample_average_is_the_mean_of_the_rewards_whatever_it_began_with():
    for value in (0.0, 50.0):
        state, _ = learned(EpsilonGreedyRule(initial_value=value))
        np.testing.assert_allclose(state.values, averages(), rtol=1e-4)
        np.testing.assert_array_equal(state.counts, np.bincount(ACTIONS))


def test_a_constant_step_size_weights_rewards_by_age():
    rule = UCB1(step_size=0.15, initial_value=5.0)
    expected = np.full(ARMS, 5.0)
    for action, reward in zip(ACTIONS, REWARDS):
        expected[action] = 0.85 * expected[action] + 0.15 * reward
    np.testing.assert_allclose(learned(rule)[0].values, expected, rtol=1e-4)


def test_epsilon_greedy_follows_its_schedule():
    rule = EpsilonGreedyRule(exploration=LinearDecay(start=0.8, end=0.0, duration=2.0 * PULLS))
    expected = np.full(ARMS, 0.4 / ARMS)
    expected[np.argmax(averages())] += 0.6
    assert_shares(learned(rule)[1], expected)


def test_ucb1_pulls_the_highest_bound():
    for confidence in (0.0, 1.4, 6.0, 40.0):
        rule = UCB1(confidence=confidence)
        bounds = averages() + confidence * np.sqrt(np.log(PULLS) / np.bincount(ACTIONS))
        np.testing.assert_array_equal(learned(rule, draws=10)[1], np.eye(ARMS)[np.argmax(bounds)])


def test_ucb1_pulls_every_arm_once_to_begin_with():
    rule = UCB1()

    def pull(state, t):
        arm = rule.choose(jax.random.key(t), state, t)
        return rule.learn(state, jax.nn.one_hot(arm, ARMS), -100.0 * arm), arm

    seen = jax.jit(lambda t: jax.lax.scan(pull, rule.init(ARMS), t)[1])(np.arange(ARMS))
    assert sorted(seen.tolist()) == list(range(ARMS))


def test_boltzmann_is_the_softmax_of_the_estimates():
    rule = BoltzmannRule(exploration=Boltzmann(temperature=4.0, decay=0.998, end=0.1, per="frame"))
    temperature = 4.0 * 0.998**PULLS
    expected = np.exp(averages() / temperature)
    assert_shares(learned(rule)[1], expected / expected.sum())


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


def test_thompson_pulls_an_arm_as_often_as_it_is_believed_the_best():
    rewards = (RNG.random(PULLS) < 0.2 + 0.2 * ACTIONS).astype(float)
    rule = Thompson(prior_ones=2.0, prior_zeros=0.5)
    _, found = learned(rule, rewards=rewards)
    ones = np.bincount(ACTIONS, rewards)
    zeros = np.bincount(ACTIONS, 1 - rewards)
    drawn = RNG.beta(2.0 + ones, 0.5 + zeros, (200_000, ARMS))
    expected = np.bincount(drawn.argmax(1), minlength=ARMS) / len(drawn)
    assert np.abs(found - expected).max() < 0.015


def test_gaussian_thompson_pulls_an_arm_as_often_as_it_is_believed_the_best():
    few = slice(0, 12)
    rule = GaussianThompson(noise=3.0, prior_mean=-1.0, prior_deviation=2.0)
    state, found = learned(rule, ACTIONS[few], REWARDS[few])
    n = np.bincount(ACTIONS[few], minlength=ARMS)
    total = np.bincount(ACTIONS[few], REWARDS[few], minlength=ARMS)
    # The posterior by precision-weighted averaging, one reward after another.
    mean, variance = np.full(ARMS, -1.0), np.full(ARMS, 4.0)
    for action, reward in zip(ACTIONS[few], REWARDS[few]):
        gain = variance[action] / (variance[action] + 9.0)
        mean[action] += gain * (reward - mean[action])
        variance[action] *= 1 - gain
    np.testing.assert_allclose(state.counts, n)
    np.testing.assert_allclose(state.rewards, total, rtol=1e-5)
    drawn = RNG.normal(mean, np.sqrt(variance), (200_000, ARMS))
    expected = np.bincount(drawn.argmax(1), minlength=ARMS) / len(drawn)
    assert np.abs(found - expected).max() < 0.015


def test_thompson_refuses_rewards_that_are_not_binary():
    with pytest.raises(UsageError, match="use rule 'thompson-gaussian'"):
        Thompson().check(Gaussian())


@pytest.mark.parametrize(
    ("rule", "bad"),
    [
        (EpsilonGreedyRule, {"step_size": 1.5}),
        (EpsilonGreedyRule, {"initial_value": float("inf")}),
        (UCB1, {"confidence": -0.1}),
        (GradientRule, {"step_size": 0.0}),
        (Thompson, {"prior_ones": 0.0}),
        (Thompson, {"prior_zeros": -1.0}),
        (GaussianThompson, {"noise": 0.0}),
        (GaussianThompson, {"prior_deviation": 0.0}),
    ],
)
def test_bounds_are_checked(rule, bad):
    with pytest.raises(UsageError, match=next(iter(bad))):
        rule(**bad)


def test_draws_of_a_policy_are_those_of_the_gradient_rule():
    @jax.jit
    def both(key, preferences):
        state = Preferences(preferences, jnp.float32(0), jnp.float32(0))
        return GradientRule().choose(key, state, jnp.int32(0)), draw(key, jax.nn.softmax(preferences))

    for seed in range(20):
        ours, theirs = both(jax.random.key(seed), np.array([0.5, -0.2, 0.1, 0.3], np.float32))
        assert ours == theirs


def test_a_schedule_that_decays_upward_is_refused():
    rule = EpsilonGreedyRule(exploration=ExponentialDecay(start=0.1, end=0.5))
    with pytest.raises(UsageError, match=r"end 0.5 is more than start 0.1"):
        Bandit(rule=rule).check()
