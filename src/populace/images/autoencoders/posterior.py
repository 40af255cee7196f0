"""The distribution q(z | x) that an encoder says, and what it makes of an image's likelihood."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.images.autoencoders.bounds import importance_weighted_bound
from populace.images.autoencoders.networks import EncoderDecoder


def posterior(network: EncoderDecoder, x: jax.Array, conditions: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return mean and log-variance of q(z | x), each (N, latents), of images (N, height, width, channels)."""
    mean, log_variance = jnp.split(jax.vmap(network.encode)(x, conditions), 2, -1)
    return mean, log_variance


posterior_of = eqx.filter_jit(posterior)


@eqx.filter_jit
def log_p(
    likelihood: Callable[[jax.Array, jax.Array], jax.Array],
    network: EncoderDecoder,
    x: jax.Array,
    conditions: jax.Array,
    keys: jax.Array,
    samples: int,
) -> jax.Array:
    """Return the importance-weighted bound of `log p(x)` of each image, (N,), in nats.

    Args:
        likelihood: from outputs of the decoder and images to `log p(x | z)`.
        network: encoder and decoder.
        x: images (N, height, width, channels), as the likelihood takes them.
        conditions: what the network is told of each, (N, classes).
        keys: one for each image.
        samples: K, draws per image.

    """

    def log_likelihood(z: jax.Array) -> jax.Array:
        told = jnp.repeat(conditions, z.shape[1], 0)
        flat = jax.vmap(network.decode)(z.reshape(-1, z.shape[-1]), told)
        return likelihood(flat.reshape(*z.shape[:-1], *flat.shape[1:]), x[:, None])

    mean, log_variance = posterior(network, x, conditions)
    return importance_weighted_bound(log_likelihood, mean, log_variance, keys, samples)
