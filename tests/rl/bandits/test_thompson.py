"""Thompson sampling: beta numbers against SciPy, and pulls against what is believed of the arms."""

from typing import Any

import jax
import numpy as np
import pytest
from numpy.typing import ArrayLike
from scipy import stats

from populace.core.errors import UsageError
from populace.rl.bandits import Gaussian, GaussianThompson, Thompson
from populace.rl.bandits.thompson import draw_beta
from tests.rl.bandits.pulls import ACTIONS, ARMS, PULLS, REWARDS, learned


@jax.jit
def drawn_by_many(seed, a, b):
    """Draw 10,000 times for each entry of a and b; all tests share the program."""
    keys = jax.random.split(jax.random.key(seed), 10_000)
    return jax.vmap(draw_beta, (0, None, None))(keys, a, b)


def drawn(seed: int, a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """Return beta numbers, (10_000, 3) float64."""
    return np.asarray(drawn_by_many(seed, np.asarray(a, np.float32), np.asarray(b, np.float32)), np.float64)


@pytest.mark.parametrize(
    ("a", "b"), [(1.0, 1.0), (0.5, 0.5), (0.05, 0.2), (1.0, 7.0), (30.0, 2.0), (400.0, 9000.0)]
)
def test_beta_numbers_have_their_distribution(a, b):
    found = drawn(0, [a] * 3, [b] * 3)
    assert found.shape == (10_000, 3)
    # Near 1, beyond the resolution of float32, many numbers coincide: nothing is compared there.
    for column in found.T:
        at = np.quantile(column, np.linspace(0.02, 0.98, 25))
        at = at[(at > 1e-30) & (at < 1 - 1e-6)]
        expected = np.asarray(stats.beta.cdf(at, a, b))
        share = np.mean(column[:, None] <= at, axis=0)
        assert np.abs(share - expected).max() < 1.95 / np.sqrt(len(column))
    correlations: Any = np.corrcoef(found.T)
    assert abs(correlations[0, 1]) < 0.05


def test_many_shapes_at_once_keep_their_own():
    a, b = [1.0, 90.0, 0.3], [1.0, 10.0, 3.0]
    found = drawn(1, a, b)
    expected = stats.beta(np.asarray(a), np.asarray(b))
    error = expected.std() / np.sqrt(len(found))
    assert (np.abs(found.mean(0) - expected.mean()) < 4.5 * error).all()


def test_shapes_that_are_not_numbers_do_not_hang():
    found = drawn(0, [np.nan, 1.0, 1.0], [1.0, 1.0, 1.0])
    assert np.isnan(found[:, 0]).all()
    assert np.isfinite(found[:, 1:]).all()


def test_thompson_pulls_an_arm_with_its_posterior_probability_of_being_best():
    rng = np.random.default_rng(6)
    rewards = (rng.random(PULLS) < 0.2 + 0.2 * ACTIONS).astype(float)
    rule = Thompson(prior_ones=2.0, prior_zeros=0.5)
    _, found = learned(rule, rewards=rewards)
    ones = np.bincount(ACTIONS, rewards)
    zeros = np.bincount(ACTIONS, 1 - rewards)
    believed = rng.beta(2.0 + ones, 0.5 + zeros, (200_000, ARMS))
    expected = np.bincount(believed.argmax(1), minlength=ARMS) / len(believed)
    assert np.abs(found - expected).max() < 0.015


def test_gaussian_thompson_pulls_an_arm_with_its_posterior_probability_of_being_best():
    few = slice(0, 12)
    rule = GaussianThompson(noise=3.0, prior_mean=-1.0, prior_std=2.0)
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
    believed = np.random.default_rng(7).normal(mean, np.sqrt(variance), (200_000, ARMS))
    expected = np.bincount(believed.argmax(1), minlength=ARMS) / len(believed)
    assert np.abs(found - expected).max() < 0.015


def test_thompson_refuses_rewards_that_are_not_binary():
    with pytest.raises(UsageError, match="use rule 'thompson-gaussian'"):
        Thompson().check(Gaussian())


@pytest.mark.parametrize(
    ("rule", "bad"),
    [
        (Thompson, {"prior_ones": 0.0}),
        (Thompson, {"prior_zeros": -1.0}),
        (GaussianThompson, {"noise": 0.0}),
        (GaussianThompson, {"prior_std": 0.0}),
    ],
)
def test_bounds_are_checked(rule, bad):
    with pytest.raises(UsageError, match=next(iter(bad))):
        rule(**bad)
