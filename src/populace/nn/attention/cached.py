"""Softmax attention with a key-value cache: the recurrent form, by one token or several."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.nn.attention.dot_product import attend_rows, attention
from populace.nn.primitives.precision import at_least_float32


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
    `state, y = attend.step(state, q, k, v)`, with the outputs of the causal form; `extend` takes several
    tokens at once. A token takes `O(length (d + e))` time. One beyond `length` finds no room, and its output
    is NaN.

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

    def init_state(
        self, width: int, value_width: int, dtype: Any = jnp.float32, length: int = 0
    ) -> KeyValueCache:
        """Return an empty cache for keys of `width` and values of `value_width`.

        With `length` it has room for fewer tokens, and each takes less time.
        """
        length = min(length or self.length, self.length)
        return KeyValueCache(
            jnp.zeros((length, width), dtype), jnp.zeros((length, value_width), dtype), jnp.int32(0)
        )

    def step(
        self, state: KeyValueCache, q: jax.Array, k: jax.Array, v: jax.Array
    ) -> tuple[KeyValueCache, jax.Array]:
        """Process one token, q and k (d,), v (e,); return the cache with it, and the output, (e,)."""
        state, out = self.extend(state, q[None], k[None], v[None])
        return state, out[0]

    def extend(
        self, state: KeyValueCache, q: jax.Array, k: jax.Array, v: jax.Array
    ) -> tuple[KeyValueCache, jax.Array]:
        """Process n tokens in order, (n, d), (n, d) and (n, e); return the cache with them, and (n, e)."""
        places, length = state.count + jnp.arange(len(q)), len(state.keys)
        # Rows that are not there are not written, so that the cache is changed in place, without a copy.
        keys = state.keys.at[places].set(k.astype(state.keys.dtype), mode="drop")
        values = state.values.at[places].set(v.astype(state.values.dtype), mode="drop")
        mask = jnp.arange(length) <= places[:, None]
        # What no query sees yet are zeros, so that nothing but the scores needs a mask.
        out = attend_rows(at_least_float32(keys), at_least_float32(values), (at_least_float32(q), None, mask))
        out = jnp.where((places < length)[:, None], out, jnp.nan).astype(jnp.result_type(q, keys, values))
        return KeyValueCache(keys, values, state.count + len(q)), out
