"""Divergences and bounds against values that are known, and an importance-weighted bound that is exact."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from populace.images.autoencoders.bounds import (
    bernoulli_log_likelihood,
    discretized_logistic_log_likelihood,
    gaussian_kl,
    gaussian_log_density,
    importance_weighted_bound,
)

WEIGHT, NOISE = 1.5, 0.8
"""A linear Gaussian model: z ~ N(0, 1), x = 1.5 z + 0.8 e."""
X = np.linspace(-3, 3, 40).astype(np.float32)
TRUE = stats.norm(0, np.sqrt(WEIGHT**2 + NOISE**2)).logpdf(X)


def log_likelihood(z):
    return gaussian_log_density(X[:, None], WEIGHT * z[..., 0], 2 * np.log(np.float32(NOISE)))


@eqx.filter_jit
def _bound(mean, log_variance, key, samples: int):
    keys = jax.random.split(key, len(X))
    return importance_weighted_bound(log_likelihood, mean, log_variance, keys, samples)


def bound(mean, variance, samples: int, seed: int = 0) -> np.ndarray:
    """Return the bound of `log p(x)` for each x, with q = N(mean, variance)."""
    log_variance = np.full((len(X), 1), np.log(variance), np.float32)
    return np.asarray(_bound(mean[:, None], log_variance, jax.random.key(seed), samples))


def test_divergences_of_gaussians():
    kl = gaussian_kl(jnp.array([1.0, 0.0, 0.0]), jnp.log(jnp.array([1.0, 4.0, 1.0])))
    np.testing.assert_allclose(kl, [0.5, 0.8069, 0.0], atol=5e-5)


def test_likelihoods_are_those_of_scipy():
    rng = np.random.default_rng(0)
    logits, x = rng.normal(size=(5, 3, 4, 2)), rng.integers(0, 2, (5, 3, 4, 2))
    expected = stats.bernoulli(1 / (1 + np.exp(-logits))).logpmf(x).sum((1, 2, 3))
    np.testing.assert_allclose(bernoulli_log_likelihood(logits, x), expected, rtol=1e-5)
    density = gaussian_log_density(jnp.float32(0.3), jnp.float32(1), jnp.log(4.0))
    np.testing.assert_allclose(density, stats.norm(1, 2).logpdf(0.3), rtol=1e-5)


def test_the_bound_is_exact_where_q_is_the_posterior():
    variance = NOISE**2 / (WEIGHT**2 + NOISE**2)
    mean = WEIGHT * X / (WEIGHT**2 + NOISE**2)
    for samples in (1, 25):  # 25: the last chunk of ten is not whole
        np.testing.assert_allclose(bound(mean, variance, samples), TRUE, atol=2e-5)


def test_the_bound_rises_with_the_draws_and_stays_below_on_average():
    elbo, more, most = (
        np.mean([bound(0.4 * X, 0.5, samples, seed).mean() for seed in range(seeds)])
        for samples, seeds in ((1, 40), (5, 40), (5_000, 1))
    )
    assert elbo < more - 0.02 < most - 0.04
    assert most == pytest.approx(TRUE.mean(), abs=0.02)


def test_the_discretized_logistic_is_the_area_of_its_bin_and_adds_up_to_one():
    levels = np.arange(256) / 255
    logits, raw = np.array([-3.0, 0.2, 40.0]), np.array([-9.0, 1.0, 3.0])
    outputs = np.stack([logits, raw], -1)[:, None, None, None, :]  # (3, 1, height, width, 2 channels)
    x = levels[None, :, None, None, None]
    found = np.asarray(discretized_logistic_log_likelihood(outputs.astype(np.float32), x.astype(np.float32)))
    assert found.shape == (3, 256)
    mean, scale = 1 / (1 + np.exp(-logits)), np.exp(np.maximum(raw - 2, -7))
    edges = (np.arange(257) - 0.5) / 255
    edges[0], edges[-1] = -np.inf, np.inf
    areas = np.diff(expit((edges - mean[:, None]) / scale[:, None]), axis=1)
    likely = areas > 1e-12  # below, float64 differences of areas are rounding
    np.testing.assert_allclose(found[likely], np.log(areas[likely]), rtol=2e-4, atol=2e-4)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(np.exp(found.astype(np.float64)).sum(1), 1, rtol=1e-4)
