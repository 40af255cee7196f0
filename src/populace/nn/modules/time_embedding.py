"""Sinusoidal embedding of a time or position."""

import jax
import jax.numpy as jnp

from populace.core.errors import UsageError


def sinusoidal(time: jax.Array, size: int, longest: float = 10_000.0) -> jax.Array:
    """Return `[sin(t f_0), ..., cos(t f_0), ...]`, `f_i = longest^(-i / (size / 2))`, (size,) of a scalar.

    Raises:
        UsageError: an odd size.

    Source: Vaswani et al. 2017, "Attention Is All You Need"; sines first, as Ho et al. 2020 have it.

    """
    if size < 2 or size % 2:
        raise UsageError(f"sinusoidal: size must be even, got {size}")
    half = size // 2
    angles = time * jnp.exp(-jnp.log(longest) * jnp.arange(half) / half)
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)])
