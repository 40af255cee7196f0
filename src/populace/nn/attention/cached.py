"""Softmax attention with a key-value cache: the recurrent form for generation, token by token."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.nn.attention.dot_product import attention


class KeyValueCache(eqx.Module):
    """Keys and values of the tokens so far, with room for `length` of them.

    Attributes:
        keys: (length, d).
        values: (length, e).
        count: (), int32, tokens so far.

    """

    keys: jax.Array
    values: jax.Array
    count: jax.Array


class CachedAttention(eqx.Module):
    """[`attention`][populace.nn.attention] as a layer that can also attend token by token.

    For training, call it on whole sequences, `attend(q, k, v, mask=mask, causal=causal)`; for generation,
    `state, y = attend.step(state, q, k, v)`, with the outputs of the causal form. A step takes
    `O(length (d + e))` time. A token beyond `length` finds no room, and its output is NaN.

    Args:
        length: tokens that the cache holds.

    Raises:
        UsageError: a length below 1.

    """

    length: int = eqx.field(static=True)

    def __init__(self, length: int) -> None:
        if not isinstance(length, int | np.integer) or length < 1:
            raise UsageError(f"CachedAttention: length is {length}, expected a whole number of at least 1")
        self.length = int(length)

    def __call__(
        self,
        q: jax.Array,
        k: jax.Array,
        v: jax.Array,
        *,
        mask: jax.Array | None = None,
        causal: bool = False,
    ) -> jax.Array:
        """Return (n, e) for queries (n, d), keys (m, d), values (m, e)."""
        return attention(q, k, v, mask=mask, causal=causal)

    def init_state(self, width: int, value_width: int, dtype: Any = jnp.float32) -> KeyValueCache:
        """Return an empty cache, for keys of `width` and values of `value_width`."""
        keys, values = jnp.zeros((self.length, width), dtype), jnp.zeros((self.length, value_width), dtype)
        return KeyValueCache(keys, values, jnp.int32(0))

    def step(
        self, state: KeyValueCache, q: jax.Array, k: jax.Array, v: jax.Array
    ) -> tuple[KeyValueCache, jax.Array]:
        """Process one token, q and k (d,), v (e,); return the cache with it, and the output, (e,)."""
        place = state.count
        keys = jax.lax.dynamic_update_slice_in_dim(state.keys, k[None].astype(state.keys.dtype), place, 0)
        values = jax.lax.dynamic_update_slice_in_dim(
            state.values, v[None].astype(state.values.dtype), place, 0
        )
        out = attention(q[None], keys, values, mask=jnp.arange(self.length) <= place)[0]
        room = place < self.length
        # A full cache stays as it was: the slice would have replaced its last token.
        keys, values = jnp.where(room, keys, state.keys), jnp.where(room, values, state.values)
        return KeyValueCache(keys, values, place + 1), jnp.where(room, out, jnp.nan)
