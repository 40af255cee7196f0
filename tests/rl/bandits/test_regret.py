"""Regret: of each rule against a plain NumPy loop, against its bounds, and where means move."""

from functools import cache

import jax
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.rl.bandits import (
    UCB1,
    Bernoulli,
    EpsilonGreedyRule,
    Gaussian,
    RandomWalk,
    Thompson,
    lai_robbins,
    plots,
    ucb1_bound,
)
from populace.rl.bandits.bandit import Bandit
from populace.rl.exploration.strategies import ConstantEpsilon

MEANS = (0.2, 0.5, 0.35, 0.6)


def assert_same_mean(one, other):
    """Assert that two samples of regret have one mean, within 4.5 standard errors of their difference."""
    error = np.sqrt(one.var(ddof=1) / len(one) + other.var(ddof=1) / len(other))
    assert abs(one.mean() - other.mean()) < 4.5 * error, (one.mean(), other.mean(), error)


def numpy_regret(choose, means, pulls, runs, seed=0):
    """Return the pseudo-regret of independent runs of a rule: choose(rng, sums, counts, t) -> arm."""
    rng, found = np.random.default_rng(seed), np.zeros(runs)
    for run in range(runs):
        sums, counts = np.zeros(len(means)), np.zeros(len(means))
        for t in range(pulls):
            arm = choose(rng, sums, counts, t)
            sums[arm] += rng.random() < means[arm]
            counts[arm] += 1
        found[run] = counts @ (max(means) - np.array(means))
    return found


def numpy_ucb1(rng, sums, counts, t):
    if (counts == 0).any():
        return int(rng.choice(np.flatnonzero(counts == 0)))
    return int(np.argmax(sums / counts + np.sqrt(2 * np.log(t) / counts)))


def numpy_epsilon_greedy(rng, sums, counts, t):
    if rng.random() < 0.2:
        return int(rng.integers(len(sums)))
    values = np.where(counts > 0, sums / np.maximum(counts, 1), 0.0)
    return int(rng.choice(np.flatnonzero(values == values.max())))


def numpy_thompson(rng, sums, counts, t):
    return int(np.argmax(rng.beta(1 + sums, 1 + counts - sums)))


@pytest.mark.parametrize(
    ("rule", "reference"),
    [
        (UCB1(), numpy_ucb1),
        (EpsilonGreedyRule(exploration=ConstantEpsilon(0.2)), numpy_epsilon_greedy),
        (Thompson(), numpy_thompson),
    ],
)
def test_regret_is_that_of_a_plain_loop(rule, reference):
    _, regrets = Bandit(arms=Bernoulli(means=MEANS), rule=rule, rollout=50).regret_curves(
        jax.random.key(1), 1000, 10
    )
    assert_same_mean(regrets[:, -1], numpy_regret(reference, MEANS, 500, 150))


TWO_MEANS = (0.4, 0.6)


@cache
def long_courses(rule):
    """Return how the regret of 100 copies grew over 10,000 pulls of two arms."""
    return Bandit(arms=Bernoulli(means=TWO_MEANS), rule=rule).regret_curves(jax.random.key(0), 100, 100)


def test_a_bandit_that_diverged_has_the_largest_regret():
    pulls, regrets = np.array([1, 2]), np.array([[1.0, 2.0], [3.0, np.nan], [2.0, 6.0]])
    line = plots.regret({"gradient": (pulls, regrets)}).axes[0].lines[0]
    np.testing.assert_allclose(line.get_ydata(), [2.0, 14 / 3])
    with pytest.raises(UsageError, match="every bandit of 'gradient' diverged"):
        plots.regret({"gradient": (pulls, np.full((2, 2), np.nan))})


def test_ucb1_stays_below_its_proven_bound():
    at, regrets = long_courses(UCB1())
    assert (regrets.mean(0) < ucb1_bound(TWO_MEANS, at)).all()


def test_the_regret_of_thompson_grows_along_the_lower_bound():
    # In units of the bound's slope in log t: from below and slowly, several times, far above.
    for rule, low, high in ((Thompson(), 0.5, 1.1), (UCB1(), 1.5, 8), (EpsilonGreedyRule(), 10, 100)):
        at, regrets = long_courses(rule)
        slope = (regrets[:, -1] - regrets[:, 9]).mean() / np.log(at[-1] / at[9])
        assert low < slope / lai_robbins(TWO_MEANS) < high


def test_constant_epsilon_loses_its_share_of_the_mean_gap_in_the_end():
    means = (0.1, 0.9, 0.3)
    rule = EpsilonGreedyRule(exploration=ConstantEpsilon(0.3))
    _, regrets = Bandit(arms=Bernoulli(means=means), rule=rule).regret_curves(jax.random.key(0), 200, 20)
    per_pull = (regrets[:, -1] - regrets[:, 9]).mean() / 1000
    np.testing.assert_allclose(per_pull, 0.3 * np.mean(0.9 - np.array(means)), rtol=0.03)


def regret_of(make, values, copies, steps):
    """Return the mean regret of copies of one bandit for each value of a float, all in one program."""

    def course(value, seed):
        bandit = make(value)
        init_key, step_key = jax.random.split(jax.random.key(seed))
        keys = jax.random.split(step_key, steps)
        return jax.lax.scan(lambda s, k: (bandit.step(s, k)[0], None), bandit.init(init_key), keys)[0].regret

    each = jax.vmap(jax.vmap(course, (None, 0)), (0, None))
    return np.asarray(jax.jit(each)(np.float32(values), np.arange(copies))).mean(1)


def test_a_constant_step_size_is_better_if_the_means_change():
    arms = Gaussian(count=5, change=RandomWalk(std=0.1))
    average, recent = regret_of(
        lambda size: Bandit(arms=arms, rule=EpsilonGreedyRule(step_size=size)), [0.0, 0.2], 50, 30
    )
    assert recent < 0.6 * average


def test_optimistic_initial_values_explore_without_epsilon():
    def bandit(value):
        rule = EpsilonGreedyRule(exploration=ConstantEpsilon(0.0), step_size=0.1, initial_value=value)
        return Bandit(arms=Gaussian(count=10), rule=rule)

    neutral, optimist = regret_of(bandit, [0.0, 5.0], 200, 30)
    assert optimist < 0.6 * neutral
