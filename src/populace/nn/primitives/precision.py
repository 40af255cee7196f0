"""Precision of sums: float32 at least.

A sum in the dtype of its terms overflows or rounds long before the terms do: 200 + 200 overflows uint8, 64
times 2,000 exceeds float16, and bfloat16 cannot count beyond 256.
"""

from typing import Any

import jax
import jax.numpy as jnp


def at_least_float32(x: Any) -> jax.Array:
    """Return an array in the dtype for accumulating it: float32, or its own dtype if that is wider."""
    x = jnp.asarray(x)
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def as_given(y: jax.Array, dtype: Any) -> jax.Array:
    """Return a sum in the floating-point dtype of the input; unchanged if the input is integer."""
    return y.astype(dtype) if jnp.issubdtype(dtype, jnp.inexact) else y
