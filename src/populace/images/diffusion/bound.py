"""The variational bound of a diffusion model: nats of images of 256 levels.

    -log p(x) <= KL(q(x_T | x_0) || N(0, I)) + sum_(t = 2 ... T) weight_t / 2 |x_0 - x_0^(x_t)|^2 - log p(x_0
    | x_1)

Pixels are 256 levels, scaled to -1 ... 1. The middle terms are divergences of Gaussians of the same variance,
the posterior's of `q(x_(t-1) | x_t, x_0)`; their weights are differences of signal-to-noise ratios. The last
term is the probability of a pixel's level under a Gaussian around x_0^(x_1), between half a level below and
above; the lowest and the highest level reach to infinity.

Sources: Ho et al. 2020, "Denoising Diffusion Probabilistic Models", equations 5, 8 and 13; Kingma et al.
2021, "Variational Diffusion Models", for the weights.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from populace.images.diffusion.process import Process

_HALF = 1 / 255
"""Half the distance of two levels from -1 to 1."""


def discretized_gaussian(x: jax.Array, mean: jax.Array, deviation: Any) -> jax.Array:
    """Return the log-probability of levels x (from -1 to 1, of 256) under a Gaussian, elementwise."""
    upper, lower = ((x - mean + sign * _HALF) / deviation for sign in (1, -1))
    # Of the two tails the one that is small, since a difference of numbers near 1 has no digits left.
    flip = lower > 0
    high, low = jnp.where(flip, -lower, upper), jnp.where(flip, -upper, lower)
    inside = jax.scipy.special.log_ndtr(high) + jnp.log1p(
        -jnp.exp(jnp.minimum(jax.scipy.special.log_ndtr(low) - jax.scipy.special.log_ndtr(high), -1e-7))
    )
    at_top = jax.scipy.special.log_ndtr(-lower)
    at_bottom = jax.scipy.special.log_ndtr(upper)
    return jnp.where(x > 1 - _HALF, at_top, jnp.where(x < -1 + _HALF, at_bottom, inside))


def prior_term(process: Process, x0: jax.Array) -> jax.Array:
    """Return `KL(q(x_T | x_0) || N(0, I))` of each image, (N,)."""
    mean, variance = process.signal[-1] * x0, process.noise[-1] ** 2
    return 0.5 * jnp.sum(mean**2 + variance - 1 - jnp.log(variance), (1, 2, 3))


def bound(
    image: Callable[[jax.Array, jax.Array], jax.Array],
    process: Process,
    x0: jax.Array,
    keys: jax.Array,
    samples: int,
) -> jax.Array:
    """Return the bound of `-log p(x)` of each image in nats, (N,).

    Args:
        image: from x_t (N, height, width, channels) and times (N,) to x_0 as the model has it.
        process: the noise schedule.
        x0: images of 256 levels, from -1 to 1.
        keys: one for each image.
        samples: times that are drawn of the middle terms' sum, one from each of as many equal parts of 2 ...
            T (so the estimate is right on average); at least T - 1 takes every time once, with a noise each.

    """
    last = len(process.signal) - 1
    count = min(samples, last - 1)
    shape, per_image = x0.shape[1:], (-1, 1, 1, 1)

    def at(t: jax.Array, number: Any) -> tuple[jax.Array, jax.Array]:
        noise = jax.vmap(lambda key: jax.random.normal(jax.random.fold_in(key, number), shape))(keys)
        signal, deviation = process.at(t)
        x = signal.reshape(per_image) * x0 + deviation.reshape(per_image) * noise
        return x, image(x, t)

    first = jnp.ones(len(x0), jnp.int32)
    decoded = jnp.sum(discretized_gaussian(x0, at(first, 0)[1], process.last_deviation), (1, 2, 3))
    width = (last - 1) / count
    draw = jax.vmap(lambda key: jax.random.uniform(jax.random.fold_in(key, count + 1), (count,)))(keys)

    def add(total: jax.Array, number: jax.Array) -> tuple[jax.Array, None]:
        share = draw[:, number] if count < last - 1 else 0.5
        t = 2 + jnp.floor((number + share) * width).astype(jnp.int32) + jnp.zeros_like(first)
        t = jnp.minimum(t, last)
        error = jnp.sum((x0 - at(t, number + 1)[1]) ** 2, (1, 2, 3))
        return total + 0.5 * jnp.asarray(process.weight)[t] * error, None

    total, _ = jax.lax.scan(add, jnp.zeros(len(x0)), jnp.arange(count))
    return prior_term(process, x0) + width * total - decoded
