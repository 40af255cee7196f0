"""Bounds on regret against hand computation and SciPy."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from populace.core.errors import UsageError
from populace.rl.bandits.bound import kl_bernoulli, kl_gaussian, lai_robbins, ucb1_bound


def test_kl_of_bernoulli_arms_is_the_relative_entropy():
    for p, q in [(0.1, 0.9), (0.5, 0.55), (0.0, 0.3), (1.0, 0.3), (0.2, 0.2)]:
        expected = stats.entropy([p, 1 - p], [q, 1 - q])
        np.testing.assert_allclose(kl_bernoulli(p, q), expected, atol=1e-15)
    assert kl_bernoulli(0.5, 1.0) == math.inf
    assert kl_bernoulli(1.0, 1.0) == 0


def test_kl_of_gaussian_arms_is_the_integral():
    def integrand(x):
        p, q = (stats.norm.logpdf(x, mean, 0.7) for mean in (0.3, 1.1))
        return np.exp(p) * (p - q)

    expected, _ = integrate.quad(integrand, -8, 8)
    np.testing.assert_allclose(kl_gaussian(0.3, 1.1, 0.7), expected, rtol=1e-8)


def test_lai_robbins_by_hand():
    # One worse arm of 1/4 beside 1/2: KL = 1/4 log(1/2) + 3/4 log(3/2) = 3/4 log 3 - log 2.
    by_hand = 0.25 / (0.75 * math.log(3) - math.log(2))
    assert lai_robbins([0.25, 0.5]) == pytest.approx(by_hand)
    assert lai_robbins([0.25, 0.5, 0.25, 0.5]) == pytest.approx(2 * by_hand)
    # Gaussian: gap / (gap^2 / (2 s^2)) = 2 s^2 / gap.
    assert lai_robbins([1.0, 3.0, 2.0], noise=2.0) == pytest.approx(8 / 2 + 8 / 1)


def test_an_arm_that_never_fails_is_found_at_a_bounded_cost():
    assert lai_robbins([0.3, 1.0]) == 0


def test_ucb1_bound_by_hand():
    expected = 8 * math.log(1000) * (1 / 0.1 + 1 / 0.4) + (1 + math.pi**2 / 3) * 0.5
    np.testing.assert_allclose(ucb1_bound([0.5, 0.4, 0.1], [1000]), [expected])


@pytest.mark.parametrize("bound", [lai_robbins, lambda means: ucb1_bound(means, 10)])
@pytest.mark.parametrize(
    ("means", "words"),
    [
        ([0.4], "at least 2 arms"),
        ([0.4, 0.4, 0.4], "all 3 arms have the mean 0.4"),
        ([0.4, float("nan")], "finite"),
        ([[0.1, 0.2]], "at least 2 arms"),
    ],
)
def test_means_without_a_bound_are_refused(bound, means, words):
    with pytest.raises(UsageError, match=words):
        bound(means)


def test_bernoulli_means_must_be_probabilities_and_noise_positive():
    with pytest.raises(UsageError, match="probabilities"):
        lai_robbins([0.4, 1.2])
    with pytest.raises(UsageError, match="noise"):
        lai_robbins([0.4, 1.2], noise=0.0)
