"""Losses of expectations, categorical distributions and quantiles, against loops written from the papers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from populace.core.errors import UsageError
from populace.rl.targets.c51 import Categorical, project
from populace.rl.targets.quantile import Quantiles, quantile_huber
from populace.rl.targets.td import Expectation


def rows(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def categorical_projection(p, y, v_min, v_max, atoms):
    """Algorithm 1 of Bellemare et al. 2017, loop by loop."""
    m, spacing = np.zeros(atoms), (v_max - v_min) / (atoms - 1)
    for p_j, y_j in zip(p, y):
        b = (min(max(y_j, v_min), v_max) - v_min) / spacing
        low, high = int(np.floor(b)), int(np.ceil(b))
        if low == high:
            m[min(low, atoms - 1)] += p_j
        else:
            m[low] += p_j * (high - b)
            m[high] += p_j * (b - low)
    return m


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 20), st.floats(-3, 3), st.floats(0, 1))
def test_projection(seed, atoms, reward, bootstrap):
    generator = np.random.default_rng(seed)
    support = np.linspace(-2, 1.5, atoms).astype(np.float32)
    p = generator.dirichlet(np.ones(atoms)).astype(np.float32)
    y = np.float32(reward) + np.float32(bootstrap) * support
    found = np.asarray(project(jnp.asarray(p), jnp.asarray(y), jnp.asarray(support)))
    np.testing.assert_allclose(found, categorical_projection(p, y, -2, 1.5, atoms), atol=2e-5)
    np.testing.assert_allclose(found.sum(), 1.0, atol=1e-5)
    np.testing.assert_allclose(found @ support, p @ np.clip(y, -2, 1.5), atol=2e-5)


def test_categorical_loss():
    kind = Categorical(atoms=5, v_min=-1.0, v_max=3.0)
    described, following = rows(3, 5), rows(3, 5, seed=1)
    reward, bootstrap = np.float32([0.5, -2.0, 1.0]), np.float32([0.9, 0.0, 0.5])
    loss, surprise = kind.losses(*map(jnp.asarray, (described, following, reward, bootstrap)), "huber")
    z = np.linspace(-1, 3, 5)
    for i in range(3):
        p = np.exp(following[i]) / np.exp(following[i]).sum()
        q = np.exp(described[i]) / np.exp(described[i]).sum()
        m = categorical_projection(p, reward[i] + bootstrap[i] * z, -1, 3, 5)
        np.testing.assert_allclose(loss[i], -(m * np.log(q)).sum(), rtol=1e-5)
        divergence = sum(a * np.log(a / b) for a, b in zip(m, q) if a > 0)
        np.testing.assert_allclose(surprise[i], divergence, rtol=1e-4)
        np.testing.assert_allclose(kind.expected(jnp.asarray(described))[i], q @ z, rtol=1e-5)


def test_quantile_loss():
    n, m, kappa = 4, 3, 0.7
    difference = 2 * rows(2, m, n)
    for batch, found in zip(difference, quantile_huber(jnp.asarray(difference), kappa)):
        total = 0.0
        for i in range(n):
            tau = (2 * i + 1) / (2 * n)
            for u in batch[:, i]:
                huber = u * u / 2 if abs(u) <= kappa else kappa * (abs(u) - kappa / 2)
                total += abs(tau - (u < 0)) * huber / kappa / m
        np.testing.assert_allclose(found, total, rtol=1e-5)


def test_quantiles_move_to_the_quantiles_of_what_follows():
    kind, samples = Quantiles(quantiles=5, kappa=0.05), np.sort(rows(1, 400, seed=3)) * 2

    def loss(theta):
        return quantile_huber(jnp.asarray(samples)[:, :, None] - theta, kind.kappa).sum()

    def down(_, theta):
        return theta - 0.05 * jax.grad(loss)(theta)

    theta = jax.lax.fori_loop(0, 3000, down, jnp.zeros(5))
    np.testing.assert_allclose(theta, np.quantile(samples, [0.1, 0.3, 0.5, 0.7, 0.9]), atol=0.1)
    np.testing.assert_allclose(kind.expected(theta), np.mean(np.asarray(theta)), rtol=1e-5)


def test_quantile_targets_bootstrap_each_sample():
    kind = Quantiles(quantiles=2)
    described, following = jnp.array([[0.0, 1.0]]), jnp.array([[2.0, 4.0]])
    loss, surprise = kind.losses(described, following, jnp.array([1.0]), jnp.array([0.5]), "huber")
    difference = np.array([[[2.0, 1.0], [3.0, 2.0]]])
    np.testing.assert_allclose(loss, quantile_huber(jnp.asarray(difference), 1.0), rtol=1e-6)
    np.testing.assert_allclose(surprise, 2.5 - 0.5, rtol=1e-6)


@pytest.mark.parametrize(("loss", "expected"), [("huber", [0.125, 1.5]), ("mse", [0.25, 4.0])])
def test_expectation(loss, expected):
    described, following = jnp.array([1.0, 0.0]), jnp.array([1.0, 5.0])
    reward, bootstrap = jnp.array([1.0, 2.0]), jnp.array([0.5, 0.0])
    found, surprise = Expectation().losses(described, following, reward, bootstrap, loss)
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(surprise, [0.5, 2.0])


@pytest.mark.parametrize("kind", [Expectation(), Categorical(atoms=3), Quantiles(quantiles=3)])
def test_no_gradient_goes_through_the_target(kind):
    shape = (2, 3) if kind.outputs else (2,)
    reward, bootstrap = jnp.ones(2), jnp.ones(2) * 0.9

    def loss(described, following):
        return kind.losses(described, following, reward, bootstrap, "huber")[0].sum()

    online, target = jax.grad(loss, (0, 1))(jnp.asarray(rows(*shape)), jnp.asarray(rows(*shape, seed=1)))
    assert np.abs(online).max() > 0
    assert not np.asarray(target).any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Categorical(atoms=1), "atoms must be >= 2, got 1"),
        (lambda: Categorical(v_min=2.0, v_max=2.0).check(), "v_min 2 must be below distribution.v_max 2"),
        (lambda: Quantiles(quantiles=0), "quantiles must be >= 1"),
        (lambda: Quantiles(kappa=0.0), "kappa must be > 0"),
    ],
)
def test_what_cannot_be_is_told(make, message):
    with pytest.raises(UsageError, match=message):
        make()
