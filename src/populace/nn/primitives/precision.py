"""In which precision sums are made: float32 at least.

A sum in the type of its terms goes wrong long before its terms do: 200 + 200 runs over in uint8, 64 times
2,000 is beyond float16, and bfloat16 counts no further than 256.
"""

from typing import Any

import jax
import jax.numpy as jnp


def at_least_float32(x: Any) -> jax.Array:
    """Return an array as it is to be added up: in float32, or in its own type where that holds more."""
    x = jnp.asarray(x)
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def as_given(y: jax.Array, dtype: Any) -> jax.Array:
    """Return what came of sums in the floating-point type of the input; of whole numbers as it is."""
    return y.astype(dtype) if jnp.issubdtype(dtype, jnp.inexact) else y
