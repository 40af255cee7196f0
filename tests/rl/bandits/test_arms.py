"""Arms: rewards of the right distribution, and means that are drawn and move as they say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from populace.core.errors import UsageError
from populace.rl.bandits.arms import Bernoulli, Gaussian
from populace.rl.bandits.change import RandomWalk, Stationary

KEYS = jax.random.split(jax.random.key(0), 20_000)


def test_bernoulli_rewards():
    for mean in (0.0, 0.3, 1.0):
        rewards = np.asarray(jax.vmap(Bernoulli().pull, (0, None))(KEYS, jnp.float32(mean)))
        assert set(rewards) <= {0.0, 1.0}
        assert abs(rewards.mean() - mean) <= 4.5 * np.sqrt(mean * (1 - mean) / len(KEYS))


def test_gaussian_rewards():
    rewards = jax.vmap(Gaussian(noise=0.5).pull, (0, None))(KEYS, jnp.float32(-2.0))
    assert stats.kstest(np.asarray(rewards), stats.norm(-2.0, 0.5).cdf).pvalue > 1e-3


def test_given_means_are_kept_and_others_drawn_per_member():
    given = Bernoulli(means=(0.2, 0.9), count=7)
    assert given.size == 2
    np.testing.assert_allclose(given.init(KEYS[0]), [0.2, 0.9])
    drawn = np.asarray(jax.vmap(Bernoulli(count=3, low=0.2, high=0.6).init)(KEYS))
    assert drawn.shape == (len(KEYS), 3)
    assert stats.kstest(drawn.ravel(), stats.uniform(0.2, 0.4).cdf).pvalue > 1e-3
    drawn = np.asarray(jax.vmap(Gaussian(count=3, center=1.0, spread=2.0).init)(KEYS))
    assert stats.kstest(drawn.ravel(), stats.norm(1.0, 2.0).cdf).pvalue > 1e-3


def test_a_random_walk_spreads_with_the_root_of_time():
    arms = Gaussian(means=(1.0, -1.0), change=RandomWalk(deviation=0.1))

    def walk(key):
        means, _ = jax.lax.scan(
            lambda m, k: (arms.moved(k, m), None), arms.init(key), jax.random.split(key, 64)
        )
        return means

    ends = np.asarray(jax.vmap(walk)(KEYS[:5000]))
    for arm, start in enumerate((1.0, -1.0)):
        assert stats.kstest(ends[:, arm], stats.norm(start, 0.8).cdf).pvalue > 1e-3
    assert abs(np.corrcoef(ends.T)[0, 1]) < 0.07


def test_bernoulli_means_are_reflected_at_their_bounds():
    arms = Bernoulli(change=RandomWalk(deviation=0.7))
    means = jnp.array([0.0, 0.05, 0.5, 1.0])
    moved = np.asarray(jax.vmap(arms.moved, (0, None))(KEYS, means))
    steps = np.asarray(jax.vmap(arms.change.moved, (0, None))(KEYS, means))
    assert ((moved >= 0) & (moved <= 1)).all()
    assert (steps > 2).any()
    expected = steps % 2  # a walk between two mirrors has period 2
    expected = np.where(expected > 1, 2 - expected, expected)
    np.testing.assert_allclose(moved, expected, atol=1e-5)


def test_stationary_means_stay():
    means = jnp.array([0.1, 0.7])
    np.testing.assert_array_equal(Stationary().moved(KEYS[0], means), means)


@pytest.mark.parametrize(
    ("arms", "words"),
    [
        (lambda: Bernoulli(means=(0.5, 1.2)), "probabilities in \\[0, 1\\], got 1.2 for arm 1"),
        (lambda: Bernoulli(low=0.7, high=0.2), "arms.low 0.7 is above arms.high 0.2"),
        (lambda: Bernoulli(count=0), "count must be >= 1"),
        (lambda: Bernoulli(low=-0.5), "low"),
        (lambda: Gaussian(noise=0.0), "noise"),
        (lambda: Gaussian(means=(0.1, float("inf"))), "means"),
        (lambda: RandomWalk(deviation=-1.0), "deviation"),
    ],
)
def test_impossible_arms_are_refused(arms, words):
    with pytest.raises(UsageError, match=words):
        arms().check()
