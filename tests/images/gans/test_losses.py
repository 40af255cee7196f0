"""What both networks minimize, against closed forms, NumPy and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.images.gans.losses import (
    discriminator_loss,
    gradient_penalty,
    non_saturating_loss,
    wasserstein_loss,
)

RNG = np.random.default_rng(0)


@jax.jit
def losses(real, made):
    return discriminator_loss(real, made), non_saturating_loss(made), wasserstein_loss(real, made)


def test_at_logits_of_zero_nobody_can_tell():
    found = losses(jnp.zeros(8), jnp.zeros(8))
    np.testing.assert_allclose(found, [np.log(2), np.log(2), 0], rtol=1e-6)


@pytest.mark.parametrize("logit", [100.0, -100.0])
def test_sure_critics_make_finite_losses(logit):
    real = jnp.full(8, logit)
    with np.errstate(over="raise"):
        found = losses(real, -real)
    gradient = jax.grad(lambda made: losses(real, made)[1])(-real)
    assert np.isfinite(found).all()
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(found[0], max(0, -logit), atol=1e-6)
    np.testing.assert_allclose(found[1], max(0, logit), atol=1e-6)
    # Where the critic rejects every image, the generator still learns.
    assert (abs(gradient[0]) > 0.1) == (logit > 0)


def test_losses_are_those_of_probabilities():
    real, made = RNG.standard_normal((2, 8)).astype(np.float32)
    found = losses(real, made)
    probability = 1 / (1 + np.exp(-real)), 1 / (1 + np.exp(-made))
    expected = -(np.log(probability[0]).mean() + np.log(1 - probability[1]).mean()) / 2
    np.testing.assert_allclose(found[0], expected, rtol=1e-5)
    np.testing.assert_allclose(found[1], -np.log(probability[1]).mean(), rtol=1e-5)
    np.testing.assert_allclose(found[2], made.mean() - real.mean(), rtol=1e-5)


def test_gradient_penalty_is_that_of_finite_differences():
    real, made = RNG.standard_normal((2, 3, 4, 5, 2)).astype(np.float32)
    alpha = np.array([0.0, 0.3, 1.0], np.float32)
    told = RNG.standard_normal((3, 2)).astype(np.float32)
    weight = RNG.standard_normal((40, 6)) / 6

    def critic(x, condition, xp=jnp):
        hidden = xp.tanh(x.reshape(-1) @ weight)
        return xp.sum(hidden**2) + condition[0] * xp.sum(hidden)

    found = jax.jit(lambda *given: gradient_penalty(critic, *given))(real, made, told, alpha)
    total = 0.0
    for x, g, condition, share in zip(real.astype(float), made.astype(float), told.astype(float), alpha):
        between, norm = share * x + (1 - share) * g, 0.0
        for place in np.ndindex(between.shape):
            step = np.zeros_like(between)
            step[place] = 1e-6
            up, down = (critic(between + sign * step, condition, np) for sign in (1, -1))
            norm += ((up - down) / 2e-6) ** 2
        total += (np.sqrt(norm) - 1) ** 2
    assert float(found) == pytest.approx(total / 3, rel=1e-4)


def test_a_critic_of_constant_score_has_a_finite_penalty():
    x = jnp.zeros((2, 3, 3, 1))
    flat = jax.value_and_grad(
        lambda w: gradient_penalty(lambda x, c: w * jnp.sum(x), x, x, jnp.zeros((2, 0)), jnp.ones(2))
    )
    value, slope = jax.jit(flat)(0.0)
    assert float(value) == pytest.approx(1, abs=1e-5)
    assert np.isfinite(slope)
