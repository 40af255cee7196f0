"""What a variational autoencoder is measured by: divergences, and bounds of the log-likelihood, in nats."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

ACTIVE = 0.01
"""Variance of a latent's posterior mean over images from which on it counts as active (Burda et al. 2016)."""
_LOG_2_PI = 1.8378770664093453
_HALF_LEVEL = 1 / 510


def gaussian_kl(mean: jax.Array, log_variance: jax.Array) -> jax.Array:
    """Return `KL(N(mean, variance) || N(0, 1)) = (mean^2 + variance - 1 - log variance) / 2`, elementwise."""
    return 0.5 * (mean**2 + jnp.exp(log_variance) - 1 - log_variance)


def gaussian_log_density(x: jax.Array, mean: jax.Array, log_variance: jax.Array) -> jax.Array:
    """Return `log N(x; mean, variance)`, elementwise."""
    return -0.5 * (_LOG_2_PI + log_variance + (x - mean) ** 2 * jnp.exp(-log_variance))


def bernoulli_log_likelihood(logits: jax.Array, x: jax.Array) -> jax.Array:
    """Return `sum_i log Bernoulli(x_i; sigmoid(logits_i))` over the last three axes; x is 0 or 1.

    Of pixels in between it would be a cross-entropy, and no likelihood of anything.
    """
    return jnp.sum(x * logits - jax.nn.softplus(logits), (-3, -2, -1))


def discretized_logistic_log_likelihood(outputs: jax.Array, x: jax.Array) -> jax.Array:
    """Return `sum_i log P(x_i)` over the last three axes, x_i one of 256 levels 0, 1/255, ..., 1.

    `P(x) = sigma((x + h - m) / s) - sigma((x - h - m) / s)` with h = 1/510, half a level; the lowest level
    has all that is below it too, and the highest all above, so that the probabilities of 256 levels add up to
    1. The mean m is the sigmoid of the first half of the channels of `outputs`, and `log s` the second half
    less 2, at least -7.

    Source: D. Kingma et al. (2016), Improving Variational Inference with Inverse Autoregressive Flow.
    """
    mean, log_scale = jnp.split(outputs, 2, -1)
    mean, rate = jax.nn.sigmoid(mean), jnp.exp(-jnp.maximum(log_scale - 2, -7.0))
    above, below = (x + _HALF_LEVEL - mean) * rate, (x - _HALF_LEVEL - mean) * rate
    # sigma(a) - sigma(b) = sigma(a) sigma(-b) (1 - exp(b - a)), which no cancellation spoils
    under, over = jax.nn.log_sigmoid(above), jax.nn.log_sigmoid(-below)
    inside = under + over + jnp.log(-jnp.expm1(-2 * _HALF_LEVEL * rate))
    levels = jnp.where(x < _HALF_LEVEL, under, jnp.where(x > 1 - _HALF_LEVEL, over, inside))
    return jnp.sum(levels, (-3, -2, -1))


def importance_weighted_bound(
    log_likelihood: Callable[[jax.Array], jax.Array],
    mean: jax.Array,
    log_variance: jax.Array,
    keys: jax.Array,
    samples: int,
    chunk: int = 10,
) -> jax.Array:
    """Return `log (1/K) sum_k p(x | z_k) p(z_k) / q(z_k | x)` with z_k from q, for each of N examples.

    On average over draws it lies between the ELBO (K = 1) and log p(x), rises with K, and is exactly log p(x)
    where q is the true posterior.

    Args:
        log_likelihood: from latents (N, chunk, latents) to `log p(x | z)`, (N, chunk).
        mean: of q, (N, latents).
        log_variance: of q, (N, latents).
        keys: one for each example.
        samples: K.
        chunk: latents of an example that are decoded at a time.

    Source: Y. Burda, R. Grosse, R. Salakhutdinov (2016), Importance Weighted Autoencoders.

    """
    chunk = min(chunk, samples)
    shape = (chunk, mean.shape[-1])
    mean, log_variance = mean[:, None], log_variance[:, None]

    def add(total: jax.Array, number: jax.Array) -> tuple[jax.Array, None]:
        own = jax.vmap(lambda key: jax.random.normal(jax.random.fold_in(key, number), shape))(keys)
        z = mean + jnp.exp(0.5 * log_variance) * own
        prior = gaussian_log_density(z, jnp.float32(0), jnp.float32(0))
        ratio = jnp.sum(prior - gaussian_log_density(z, mean, log_variance), -1)
        weights = log_likelihood(z) + ratio
        counted = number * chunk + jnp.arange(chunk) < samples  # the last chunk may be too long
        weights = jnp.where(counted, weights, -jnp.inf)
        return jnp.logaddexp(total, jax.nn.logsumexp(weights, -1)), None

    start = jnp.full(mean.shape[:1], -jnp.inf)
    total, _ = jax.lax.scan(add, start, jnp.arange(-(-samples // chunk)))
    return total - jnp.log(samples)
