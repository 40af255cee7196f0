"""Rules that choose by estimates of the means, against plain NumPy loops."""

import jax
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.rl import Bandit
from populace.rl.bandits import UCB1, BoltzmannRule, EpsilonGreedyRule
from populace.rl.exploration.strategies import Boltzmann, ExponentialDecay, LinearDecay
from tests.rl.bandits.pulls import ACTIONS, ARMS, PULLS, REWARDS, assert_shares, averages, learned


def test_a_sample_average_does_not_depend_on_the_initial_value():
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


@pytest.mark.parametrize(
    ("rule", "bad"),
    [
        (EpsilonGreedyRule, {"step_size": 1.5}),
        (EpsilonGreedyRule, {"initial_value": float("inf")}),
        (UCB1, {"confidence": -0.1}),
    ],
)
def test_bounds_are_checked(rule, bad):
    with pytest.raises(UsageError, match=next(iter(bad))):
        rule(**bad)


def test_a_schedule_that_decays_upward_is_refused():
    rule = EpsilonGreedyRule(exploration=ExponentialDecay(start=0.1, end=0.5))
    with pytest.raises(UsageError, match=r"end must be at most start, got end 0.5 and start 0.1"):
        Bandit(rule=rule).check()
