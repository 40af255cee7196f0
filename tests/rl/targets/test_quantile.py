"""Quantiles of returns, against loops written from Dabney et al. 2018."""

import jax
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.rl.targets.quantile import Quantiles, quantile_huber
from tests.rl.targets.compared import compared, rows


def quantile_huber_by_loop(difference, kappa):
    """Return the loss of one transition's differences (samples, quantiles)."""
    m, n = difference.shape
    total = 0.0
    for i in range(n):
        tau = (2 * i + 1) / (2 * n)
        for u in difference[:, i]:
            huber = u * u / 2 if abs(u) <= kappa else kappa * (abs(u) - kappa / 2)
            total += abs(tau - (u < 0)) * huber / kappa / m
    return total


def test_quantile_loss():
    difference, kappa = 2 * rows(2, 3, 4), 0.7
    found = jax.jit(quantile_huber)(difference, kappa)
    np.testing.assert_allclose(found, [quantile_huber_by_loop(u, kappa) for u in difference], rtol=1e-5)


def test_quantiles_converge_to_those_of_the_target():
    kind, samples = Quantiles(quantiles=5, kappa=0.05), np.sort(rows(1, 400, seed=3)) * 2

    def loss(theta):
        return quantile_huber(samples[:, :, None] - theta, kind.kappa).sum()

    def down(_, theta):
        return theta - 0.05 * jax.grad(loss)(theta)

    @jax.jit
    def outcome(theta):
        theta = jax.lax.fori_loop(0, 3000, down, theta)
        return theta, kind.expected(theta)

    theta, expected = outcome(np.zeros(5, np.float32))
    np.testing.assert_allclose(theta, np.quantile(samples, [0.1, 0.3, 0.5, 0.7, 0.9]), atol=0.1)
    np.testing.assert_allclose(expected, np.mean(np.asarray(theta)), rtol=1e-5, atol=1e-6)


def test_targets_bootstrap_each_sample():
    online, target = np.float32([[0.0, 1.0]]), np.float32([[2.0, 4.0]])
    found = compared(Quantiles(quantiles=2), online, target, np.float32([1.0]), np.float32([0.5]))
    difference = np.array([[2.0, 1.0], [3.0, 2.0]])
    np.testing.assert_allclose(found.loss, quantile_huber_by_loop(difference, 1.0), rtol=1e-6)
    np.testing.assert_allclose(found.priority, 2.5 - 0.5, rtol=1e-6)
    found.assert_no_gradient_through_the_target()


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"quantiles": 0}, "quantiles must be >= 1"), ({"kappa": 0.0}, "kappa must be > 0")],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        Quantiles(**settings)
