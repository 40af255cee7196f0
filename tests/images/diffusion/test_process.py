"""Schedules, steps and bounds of diffusion against diffusers' numbers and the formulas of the papers."""

import itertools
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from populace.images.diffusion.bound import bound, discretized_gaussian
from populace.images.diffusion.process import (
    PREDICTIONS,
    Process,
    betas,
    clipped,
    image_of,
    spaced,
    step_back,
    target,
)
from populace.images.diffusion.sampling import drawn

REFERENCE = np.load(Path(__file__).with_name("reference.npz"))
COSINE = Process.of("cosine", 1_000)
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_schedules_are_those_of_diffusers(schedule):
    np.testing.assert_allclose(betas(schedule, 1_000)[::37], REFERENCE[f"{schedule}_betas"], atol=1e-6)
    signal = Process.of(schedule, 1_000).signal[1:][::37]
    np.testing.assert_allclose(signal**2, REFERENCE[f"{schedule}_alphas_cumprod"], atol=1e-6)
    np.testing.assert_array_equal(spaced(10, 1_000), REFERENCE["timesteps"] + 1)


@eqx.filter_jit
def one_step(prediction: str, x, now, then, eta, fresh):
    """Take a step with what stands in for a network; diffusers counts times from 0."""
    at, to = COSINE.at(now), COSINE.at(then)
    x0, eps = clipped(image_of(prediction, jnp.tanh(0.7 * x + 0.001 * (now - 1)), x, *at), x, *at)
    return step_back(x0, eps, at, to, eta, fresh)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_steps_are_those_of_diffusers(prediction):
    x = start = np.linspace(-2, 2, 12, dtype=np.float32).reshape(1, 1, 3, 4)
    times = [*spaced(10, 1_000), 0]
    for now, then in itertools.pairwise(times):
        x = one_step(prediction, x, now, then, 0.0, np.zeros_like(start))
    np.testing.assert_allclose(x, REFERENCE[f"ddim_{prediction}"], atol=2e-5)
    fresh = np.linspace(1, -1, 12, dtype=np.float32).reshape(1, 1, 3, 4)
    noisy = one_step(prediction, start, times[3], times[4], 0.5, fresh)
    np.testing.assert_allclose(noisy, REFERENCE[f"noisy_{prediction}"], atol=2e-5)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_each_prediction_gives_the_image(prediction):
    x0, eps = RNG.normal(size=(2, 5)).astype(np.float32)
    signal, noise = COSINE.at(jnp.int32(400))
    x = signal * x0 + noise * eps
    output = target(prediction, jnp.asarray(x0), jnp.asarray(eps), signal, noise)
    np.testing.assert_allclose(image_of(prediction, output, x, signal, noise), x0, atol=1e-5)


def test_a_full_step_with_noise_is_the_posterior():
    """Equations 6 and 7 of Ho et al. 2020."""
    t, beta = 300, betas("cosine", 1_000)
    a = np.cumprod(1 - beta)
    x0, x, fresh = RNG.normal(size=(3, 7))
    mean = (
        np.sqrt(a[t - 2]) * beta[t - 1] / (1 - a[t - 1]) * x0
        + np.sqrt(1 - beta[t - 1]) * (1 - a[t - 2]) / (1 - a[t - 1]) * x
    )
    expected = mean + np.sqrt((1 - a[t - 2]) / (1 - a[t - 1]) * beta[t - 1]) * fresh
    now, then = COSINE.at(t), COSINE.at(t - 1)
    found = step_back(x0, (x - now[0] * x0) / now[1], now, then, 1.0, fresh)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_last_step_draws_no_noise():
    x0, eps, fresh = RNG.normal(size=(3, 7)).astype(np.float32)
    found = step_back(x0, eps, COSINE.at(5), COSINE.at(0), 1.0, 100 * fresh)
    np.testing.assert_array_equal(found, x0)


def test_a_clipped_image_has_an_eps_of_its_own():
    x0, x = np.array([-3.0, 0.2, 5.0], np.float32), np.array([-1.0, 0.5, 2.0], np.float32)
    now = COSINE.at(500)
    found, eps = clipped(x0, x, *now)
    np.testing.assert_array_equal(found, np.array([-1, 0.2, 1], np.float32))
    np.testing.assert_allclose(now[0] * found + now[1] * eps, x, atol=1e-6)


LINEAR = Process.of("linear", 1_000)
IMAGE = RNG.uniform(-1, 1, (4, 3, 2)).astype(np.float32)


def oracle(x, time, condition):
    """Return the eps of one image."""
    del condition
    signal, noise = LINEAR.at(jnp.int32(time))
    return (x - signal * IMAGE) / noise


def sampled(network, times, eta=0.0, guidance=1.0, conditions=None, process=LINEAR):
    told = np.zeros((3, 0), np.float32) if conditions is None else conditions
    keys = jax.random.split(jax.random.key(0), 3)
    how = (jnp.asarray(times), IMAGE.shape, jnp.float32(eta), guidance, jnp.float32(1))
    return np.asarray(drawn(network, process, "eps", told, keys, *how)[0])


@pytest.mark.parametrize("times", [[1_000], [1_000, 500, 3], [700, 699, 2, 1], list(spaced(50, 1_000))])
def test_the_true_noise_leads_back_to_the_image(times):
    np.testing.assert_allclose(sampled(oracle, times), np.broadcast_to(IMAGE, (3, *IMAGE.shape)), atol=1e-4)


def test_guidance_is_linear_between_and_beyond():
    class Told(eqx.Module):
        def __call__(self, x, time, condition):
            return 0.1 * x + condition.sum() * 0.2

    told = np.eye(2, dtype=np.float32)[[0, 1, 0]]
    none = sampled(lambda x, time, c: 0.1 * x, [1])
    one = sampled(Told(), [1], 0.0, 1.0, told)
    for guidance in (0.0, 1.0, 2.5):
        found = sampled(Told(), [1], 0.0, jnp.float32(guidance), told)
        np.testing.assert_allclose(found, np.clip(none + guidance * (one - none), -1, 1), atol=1e-5)
    assert np.abs(one - none).max() > 1e-3


@pytest.mark.parametrize(("mean", "deviation"), [(0.3, 0.05), (-1.0, 0.004), (0.9, 0.5)])
def test_levels_have_probabilities_that_add_up_to_1(mean, deviation):
    levels = (2 * np.arange(256) / 255 - 1).astype(np.float32)
    logs = np.asarray(discretized_gaussian(levels, jnp.float32(mean), deviation))
    assert np.exp(logs.astype(np.float64)).sum() == pytest.approx(1, abs=1e-4)
    edges = np.concatenate([[-np.inf], levels[:-1] + 1 / 255, [np.inf]])
    expected = np.diff(stats.norm(mean, deviation).cdf(edges))
    near = expected > 1e-5
    np.testing.assert_allclose(np.exp(logs[near]), expected[near], rtol=5e-3)
    assert np.isfinite(logs).all()


def test_the_bound_is_the_sum_of_the_divergences():
    """Equation 5 of Ho et al. 2020, term by term, with the same noise."""
    steps, beta = 6, betas("cosine", 6)
    a = np.concatenate([[1], np.cumprod(1 - beta)])
    process = Process.of("cosine", steps)
    x0 = np.rint(RNG.uniform(0, 255, (2, 3, 2, 1))).astype(np.float32) * 2 / 255 - 1
    keys = jax.random.split(jax.random.key(1), 2)
    draw = lambda key, number: jax.random.normal(jax.random.fold_in(key, number), x0.shape[1:])  # noqa: E731
    noise = np.array([[draw(key, i) for key in keys] for i in range(steps)])
    image = lambda x, t: 0.6 * x  # noqa: E731
    find = eqx.filter_jit(lambda keys, samples: bound(image, process, x0, keys, samples))
    expected = 0.5 * (a[-1] * x0**2 + (1 - a[-1]) - 1 - np.log(1 - a[-1])).sum((1, 2, 3))
    for t in range(2, steps + 1):
        guess = 0.6 * (np.sqrt(a[t]) * x0 + np.sqrt(1 - a[t]) * noise[t - 1])
        factor = np.sqrt(a[t - 1]) * beta[t - 1] / (1 - a[t])
        variance = (1 - a[t - 1]) / (1 - a[t]) * beta[t - 1]
        expected += ((factor * (x0 - guess)) ** 2 / (2 * variance)).sum((1, 2, 3))
    guess = 0.6 * (np.sqrt(a[1]) * x0 + np.sqrt(1 - a[1]) * noise[0])
    deviation = np.sqrt((1 - a[1]) / (1 - a[2]) * beta[1])
    logs = np.asarray(discretized_gaussian(x0, jnp.asarray(guess, jnp.float32), deviation))
    np.testing.assert_allclose(find(keys, steps), expected - logs.sum((1, 2, 3)), rtol=1e-4)
    many = jax.random.split(jax.random.key(2), (400, 2))
    few, all_of_them = (np.asarray(jax.vmap(lambda k, s=s: find(k, s))(many)).mean(0) for s in (2, 99))
    np.testing.assert_allclose(few, all_of_them, rtol=0.05)
