"""Sampling: from what a model says of the next token to what one is drawn from.

In this order: tokens that are never written are left out; logarithms are divided by the temperature; the k
likeliest are kept; of these the fewest whose probabilities add up to p; what is left is scaled to add up to
one.
"""

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError


class Sampling(eqx.Module):
    """How the next token is chosen.

    Attributes:
        temperature: divides the logarithms; below 1 the likely becomes likelier, 0 takes the likeliest.
        top_k: how many of the likeliest are kept, ties going to the lower number; 0 for all.
        top_p: share of the probability that is kept: the fewest tokens that reach it, the one that crosses
            it included, at least one; 1 for all (Holtzman et al. 2020).

    Raises:
        UsageError: a value outside its range.

    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __check_init__(self) -> None:
        """Refuse values outside their ranges."""
        for name, low, high in (("temperature", 0, math.inf), ("top_k", 0, math.inf), ("top_p", 0, 1)):
            value = getattr(self, name)
            if isinstance(value, jax.Array):
                continue
            real = isinstance(value, int | float) and not isinstance(value, bool)
            if not real or not (math.isfinite(value) and low <= value <= high):
                most = "" if math.isinf(high) else f" and at most {high}"
                raise UsageError(f"{name} must be at least {low}{most}, got {value!r:.50}")
        if not isinstance(self.top_k, jax.Array) and self.top_k != int(self.top_k):
            raise UsageError(f"top_k must be a whole number, got {self.top_k}")

    def arrays(self) -> "Sampling":
        """Return the same as arrays, which a compiled program takes as arguments."""
        values = jnp.float32(self.temperature), jnp.int32(self.top_k), jnp.float32(self.top_p)
        return dataclasses.replace(self, **dict(zip(("temperature", "top_k", "top_p"), values)))


def chosen_from(log_p: jax.Array, sampling: Sampling, unwritten: tuple[int, ...] = ()) -> jax.Array:
    """Return the logarithm of the probability that each token is drawn with, (V,); -inf for none.

    Args:
        log_p: (V,) what the model says.
        sampling: how it is changed.
        unwritten: tokens that are never drawn.

    """
    size = len(log_p)
    if unwritten:
        log_p = log_p.at[jnp.array(unwritten)].set(-jnp.inf)
    top = jnp.max(log_p)
    temperature, top_k, top_p = map(jnp.asarray, (sampling.temperature, sampling.top_k, sampling.top_p))
    greedy, place = temperature <= 0, jnp.arange(size)
    # The difference to the likeliest first: divided by .01 the logarithms themselves lose their digits.
    scaled = (log_p - top) / jnp.where(greedy, 1.0, temperature)

    def whole(scaled: jax.Array) -> jax.Array:
        likeliest = jnp.where(place == jnp.argmax(scaled), 0.0, -jnp.inf)
        return jnp.where(greedy, likeliest, jax.nn.log_softmax(scaled))

    def cut(scaled: jax.Array) -> jax.Array:
        order = jnp.argsort(-scaled, stable=True)
        ranked = jnp.where(place < jnp.where(top_k > 0, top_k, size), scaled[order], -jnp.inf)
        p = jax.nn.softmax(ranked)
        before = jnp.cumsum(p) - p
        # At p = 1 all are kept: a sum may be rounded to 1 before its last term.
        kept = (before < top_p) | (place == 0) | (top_p >= 1)
        return jnp.zeros(size).at[order].set(jax.nn.log_softmax(jnp.where(kept, ranked, -jnp.inf)))

    # Sorting 50,000 tokens takes longer than a small network does: only where it is needed.
    return jax.lax.cond(~greedy & ((top_k > 0) | (top_p < 1)), cut, whole, scaled)
