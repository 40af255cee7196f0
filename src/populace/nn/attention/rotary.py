"""Rotary positions: queries and keys are turned by their place, so that products tell distances alone.

Su et al. 2021, "RoFormer: Enhanced Transformer with Rotary Position Embedding", arXiv:2104.09864.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError

BASE = 10_000.0


def rotate(x: jax.Array, positions: jax.Array) -> jax.Array:
    r"""Turn each vector by its position, pair by pair.

        (a_i, b_i) -> (a_i cos t - b_i sin t, a_i sin t + b_i cos t),     t = position * 10000^(-2i / d)

    a is the first half of the vector and b the second. `rotate(q, m) . rotate(k, n)` depends on m - n alone.

    Args:
        x: (n, d), d even.
        positions: (n,).

    Raises:
        UsageError: an odd width.

    """
    width = x.shape[1]
    if width % 2:
        raise UsageError(f"rotate: vectors have width {width}, expected an even one")
    speed = BASE ** (-jnp.arange(0, width, 2) / width)
    angle = positions.astype(jnp.float32)[:, None] * speed
    cos, sin = jnp.cos(angle).astype(x.dtype), jnp.sin(angle).astype(x.dtype)
    a, b = x[:, : width // 2], x[:, width // 2 :]
    return jnp.concatenate([a * cos - b * sin, a * sin + b * cos], axis=1)


class RotaryAttention(eqx.Module):
    """Any attention of one head, with queries and keys turned by their place in the sequence.

    Args:
        attend: attention with a recurrent form, such as [`CachedAttention`][populace.nn.CachedAttention] or
            [`LinearAttention`][populace.nn.LinearAttention].

    """

    attend: Any

    def __call__(
        self,
        q: jax.Array,
        k: jax.Array,
        v: jax.Array,
        *,
        mask: jax.Array | None = None,
        causal: bool = False,
    ) -> jax.Array:
        """Return (n, e) for queries (n, d), keys (m, d), values (m, e); both begin at position 0."""
        q, k = rotate(q, jnp.arange(len(q))), rotate(k, jnp.arange(len(k)))
        return self.attend(q, k, v, mask=mask, causal=causal)

    def init_state(
        self, width: int, value_width: int, dtype: Any = jnp.float32, length: int = 0
    ) -> tuple[jax.Array, Any]:
        """Return the state before the first token: its position, and the state of `attend`."""
        return jnp.int32(0), self.attend.init_state(width, value_width, dtype, length)

    def step(
        self, state: tuple[jax.Array, Any], q: jax.Array, k: jax.Array, v: jax.Array
    ) -> tuple[tuple[jax.Array, Any], jax.Array]:
        """Process one token, q and k (d,), v (e,); return the new state and the output, (e,)."""
        state, out = self.extend(state, q[None], k[None], v[None])
        return state, out[0]

    def extend(
        self, state: tuple[jax.Array, Any], q: jax.Array, k: jax.Array, v: jax.Array
    ) -> tuple[tuple[jax.Array, Any], jax.Array]:
        """Process n tokens in order, (n, d), (n, d) and (n, e); return the new state and (n, e)."""
        place, inside = state
        places = place + jnp.arange(len(q))
        inside, out = self.attend.extend(inside, rotate(q, places), rotate(k, places), v)
        return (place + len(q), inside), out
