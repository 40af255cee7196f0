"""Arms: rewards of the right distribution, and means that are drawn and move as they say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from populace.core.errors import UsageError
from populace.rl.bandits.arms import Bernoulli, Gaussian
from populace.rl.bandits.change import RandomWalk, Stationary

DRAWS = 20_000


def sampled(draw, *arguments):
    """Return what many keys draw, all in one program."""
    over_keys = jax.vmap(draw, (0, *[None] * len(arguments)))
    return np.asarray(
        jax.jit(lambda *a: over_keys(jax.random.split(jax.random.key(0), DRAWS), *a))(*arguments)
    )


def test_bernoulli_rewards():
    means = np.array([0.0, 0.3, 1.0], np.float32)
    for rewards, mean in zip(
        sampled(lambda k, m: jax.vmap(Bernoulli().pull, (None, 0))(k, m), means).T, means
    ):
        assert set(rewards) <= {0.0, 1.0}
        assert abs(rewards.mean() - mean) <= 4.5 * np.sqrt(mean * (1 - mean) / DRAWS)


def test_gaussian_rewards():
    rewards = sampled(Gaussian(noise=0.5).pull, np.float32(-2.0))
    assert stats.kstest(rewards, stats.norm(-2.0, 0.5).cdf).pvalue > 1e-3


def test_given_means_are_kept_and_others_sampled_per_member():
    given = Bernoulli(means=(0.2, 0.9), count=7)
    assert given.size == 2
    np.testing.assert_allclose(given.init(jax.random.key(0)), [0.2, 0.9])
    drawn = sampled(Bernoulli(count=3, low=0.2, high=0.6).init)
    assert drawn.shape == (DRAWS, 3)
    assert stats.kstest(drawn.ravel(), stats.uniform(0.2, 0.4).cdf).pvalue > 1e-3
    drawn = sampled(Gaussian(count=3, center=1.0, spread=2.0).init)
    assert stats.kstest(drawn.ravel(), stats.norm(1.0, 2.0).cdf).pvalue > 1e-3


def test_a_random_walk_spreads_with_the_root_of_time():
    arms = Gaussian(means=(1.0, -1.0), change=RandomWalk(std=0.1))

    def walk(key):
        means, _ = jax.lax.scan(
            lambda m, k: (arms.next_means(k, m), None), arms.init(key), jax.random.split(key, 64)
        )
        return means

    ends = sampled(walk)
    for arm, start in enumerate((1.0, -1.0)):
        assert stats.kstest(ends[:, arm], stats.norm(start, 0.8).cdf).pvalue > 1e-3
    assert abs(np.corrcoef(ends.T)[0, 1]) < 0.035


def test_bernoulli_means_are_reflected_at_their_bounds():
    arms = Bernoulli(change=RandomWalk(std=0.7))
    means = np.array([0.0, 0.05, 0.5, 1.0], np.float32)
    both = sampled(
        lambda key, means: jnp.stack([arms.next_means(key, means), arms.change.next_means(key, means)]), means
    )
    next_means, steps = both[:, 0], both[:, 1]
    assert ((next_means >= 0) & (next_means <= 1)).all()
    assert (steps > 2).any()
    expected = steps % 2  # a walk between two mirrors has period 2
    expected = np.where(expected > 1, 2 - expected, expected)
    np.testing.assert_allclose(next_means, expected, atol=1e-5)


def test_stationary_means_do_not_change():
    means = np.array([0.1, 0.7])
    np.testing.assert_array_equal(Stationary().next_means(jax.random.key(0), means), means)


@pytest.mark.parametrize(
    ("arms", "words"),
    [
        (lambda: Bernoulli(means=(0.5, 1.2)), "probabilities in \\[0, 1\\], got 1.2 for arm 1"),
        (
            lambda: Bernoulli(low=0.7, high=0.2),
            "arms.low must be at most arms.high, got low 0.7 and high 0.2",
        ),
        (lambda: Bernoulli(count=0), "count must be >= 1"),
        (lambda: Bernoulli(low=-0.5), "low"),
        (lambda: Gaussian(noise=0.0), "noise"),
        (lambda: Gaussian(means=(0.1, float("inf"))), "means"),
        (lambda: RandomWalk(std=-1.0), "std"),
    ],
)
def test_impossible_arms_are_refused(arms, words):
    with pytest.raises(UsageError, match=words):
        arms().check()
