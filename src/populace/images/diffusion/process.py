"""The forward process of diffusion, and steps back: noise schedules, predictions, DDIM, the bound's weights.

    q(x_t | x_0) = N(sqrt(a_t) x_0, (1 - a_t) I)      a_t = prod_(s <= t) (1 - beta_s), a_0 = 1, t = 1 ... T

Images are from -1 to 1. A network predicts one of three; each gives the other two:

    eps       the noise, x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) eps
    x0        the image
    v         sqrt(a_t) eps - sqrt(1 - a_t) x_0
"""

from typing import NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np

PREDICTIONS = ("eps", "x0", "v")
NOISE_SCHEDULES = ("cosine", "linear")


def betas(schedule: str, timesteps: int) -> np.ndarray:
    """Return beta_1 ... beta_T, float64.

    linear: from `0.1 / T` to `20 / T` in equal steps, at most 0.999; of 1,000 steps 1e-4 to 0.02 (Ho et al.
    2020), and of other T about the same amount of noise at the end (Nichol and Dhariwal 2021).
    cosine: `min(1 - f(t) / f(t - 1), 0.999)`, `f(t) = cos^2(pi/2 (t/T + 0.008) / 1.008)` (Nichol and Dhariwal
        2021).
    """
    if schedule == "linear":
        return np.minimum(np.linspace(0.1 / timesteps, 20 / timesteps, timesteps), 0.999)
    share = np.arange(timesteps + 1) / timesteps
    f = np.cos((share + 0.008) / 1.008 * np.pi / 2) ** 2
    return np.minimum(1 - f[1:] / f[:-1], 0.999)


class Process(NamedTuple):
    """A noise schedule: `signal[t] = sqrt(a_t)` and `noise[t] = sqrt(1 - a_t)` for t = 0 ... T.

    `weight[t]` is `a_(t-1) / (1 - a_(t-1)) - a_t / (1 - a_t)` for t >= 2, what a squared error of x_0 counts
    for in the bound, twice; 0 for t < 2.
    """

    signal: np.ndarray
    noise: np.ndarray
    weight: np.ndarray
    last_deviation: float
    """Of `p(x_0 | x_1)`: the posterior's at t = 2, since at t = 1 it is 0."""

    @classmethod
    def of(cls, schedule: str, timesteps: int) -> Self:
        """Return the process of a schedule."""
        beta = betas(schedule, timesteps)
        a = np.concatenate([[1.0], np.cumprod(1 - beta)])
        ratio = a[1:] / (1 - a[1:])
        weight = np.concatenate([[0.0, 0.0], ratio[:-1] - ratio[1:]])
        last = float(np.sqrt((1 - a[1]) / (1 - a[2]) * beta[1]))
        f32 = np.float32
        return cls(np.sqrt(a).astype(f32), np.sqrt(1 - a).astype(f32), weight.astype(f32), last)

    def at(self, t: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return signal and noise at times t."""
        return jnp.asarray(self.signal)[t], jnp.asarray(self.noise)[t]


def target(prediction: str, x0: jax.Array, eps: jax.Array, signal: jax.Array, noise: jax.Array) -> jax.Array:
    """Return what the network is to predict."""
    return {"eps": eps, "x0": x0, "v": signal * eps - noise * x0}[prediction]


def image_of(
    prediction: str, output: jax.Array, x: jax.Array, signal: jax.Array, noise: jax.Array
) -> jax.Array:
    """Return x_0 by a network's output at x_t."""
    if prediction == "eps":
        return (x - noise * output) / signal
    return output if prediction == "x0" else signal * x - noise * output


def clipped(x0: jax.Array, x: jax.Array, signal: jax.Array, noise: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return x_0 clipped to -1 ... 1, and the eps that leads from it to x_t."""
    x0 = jnp.clip(x0, -1, 1)
    return x0, (x - signal * x0) / noise


def step_back(
    x0: jax.Array,
    eps: jax.Array,
    now: tuple[jax.Array, jax.Array],
    then: tuple[jax.Array, jax.Array],
    eta: jax.Array,
    fresh: jax.Array,
) -> jax.Array:
    """Return x_s of x_t, s < t, by x_0 and eps.

    x_s = sqrt(a_s) x_0 + sqrt(1 - a_s - sigma^2) eps + sigma fresh
    sigma = eta sqrt((1 - a_s) / (1 - a_t)) sqrt(1 - a_t / a_s)

    With eta = 0 no noise is added; with eta = 1 and s = t - 1 it is a step of DDPM with the posterior's
    variance. At s = 0 sigma is 0: the last step adds none.

    Args:
        x0: clipped or not.
        eps: that leads from x0 to x_t.
        now: signal and noise at t.
        then: the same at s.
        eta: share of the noise of DDPM.
        fresh: standard normal.

    Source: Song et al. 2021, "Denoising Diffusion Implicit Models", equations 12 and 16.

    """
    (signal, noise), (signal_s, noise_s) = now, then
    sigma = eta * noise_s / noise * jnp.sqrt(jnp.maximum(1 - (signal / signal_s) ** 2, 0))
    return signal_s * x0 + jnp.sqrt(jnp.maximum(noise_s**2 - sigma**2, 0)) * eps + sigma * fresh


def spaced(steps: int, timesteps: int) -> np.ndarray:
    """Return so many times from T down, evenly spaced: `round(T - i T / steps)`, i = 0 ... steps - 1."""
    return np.rint(timesteps - np.arange(steps) * (timesteps / steps)).astype(int)
