"""Dropout, with a rate that may differ between the members of one program."""

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.nn.primitives.buffer import Buffer
from populace.nn.primitives.hashing import kept, seed_pair


class Dropout(eqx.Module):
    """In training `y_i = x_i b_i / (1 - p)` with `b_i ~ Bernoulli(1 - p)`; at inference `y = x`.

    Unlike Equinox's, this layer keeps its rate in a buffer, so that members of one program may have different
    rates and the rate can be swept.

    Args:
        rate: p, the probability of dropping an entry, in [0, 1); a float or a traced scalar.

    Raises:
        UsageError: a rate outside [0, 1).

    Source: Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting".

    """

    rate: Buffer

    def __init__(self, rate: float | jax.Array) -> None:
        if isinstance(rate, int | float) and not 0 <= rate < 1:
            raise UsageError(f"Dropout: rate must be in [0, 1), got {rate}")
        self.rate = Buffer(jnp.asarray(rate, jnp.float32))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return x as it is."""
        return x

    def learn(
        self, x: jax.Array, *, key: jax.Array, weight: jax.Array | None = None
    ) -> tuple[jax.Array, "Dropout"]:
        """Return x, of any shape, with some entries dropped and the others scaled up."""
        del weight
        keep = 1 - self.rate.value.astype(x.dtype)
        kept = jax.random.uniform(key, x.shape, x.dtype) < keep
        return jnp.where(kept, x / keep, 0), self


def dropped(x: jax.Array, rate: jax.Array | float, key: jax.Array) -> jax.Array:
    """Drop each entry of x with probability `rate`, and multiply the others by `1 / (1 - rate)`.

    The mask comes from a counter-based hash ([`kept`][populace.nn.primitives.hashing.kept]): for large
    arrays in small networks, drawing it from JAX's generator takes longer than the rest of the network.
    """
    mask = kept(seed_pair(key), x.size, rate).reshape(x.shape)
    return jnp.where(mask, x / (1 - jnp.asarray(rate, x.dtype)), 0)
