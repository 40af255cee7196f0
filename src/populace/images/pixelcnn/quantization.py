"""Levels of pixels: how images of greys become whole numbers from 0 to `levels - 1`, and back."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.data.arrays import restored
from populace.data.example_files import ExampleFiles
from populace.supervised.data import Data

QUANTIZATIONS = ("dynamic", "static", "uniform", "none")
_NEAR = 1e-3  # of a level: floats of float32 arithmetic on a grid of up to 256


def drawn(x: jax.Array, keys: jax.Array) -> jax.Array:
    """Return 1 with the probability that each pixel (from 0 to 1) says, else 0; one key for each image."""
    uniform = jax.vmap(lambda key: jax.random.uniform(key, x.shape[1:]))(keys)
    return (uniform < x).astype(jnp.int32)


def uniform(x: jax.Array, levels: int) -> jax.Array:
    """Return `floor(x levels)` of pixels from 0 to 1, the last level for 1; of uint8 `floor(x levels / 256)`.

    With 256 levels a uint8 image is its own levels, and with fewer the levels are of equal width.
    """
    if x.dtype == jnp.uint8:
        return x.astype(jnp.int32) * levels // 256
    return jnp.clip(jnp.floor(x * levels), 0, levels - 1).astype(jnp.int32)


def as_given(x: jax.Array, levels: int) -> jax.Array:
    """Return the levels of images that have no others: of uint8 their values, of floats `x (levels - 1)`."""
    if x.dtype == jnp.uint8:
        return x.astype(jnp.int32)
    return jnp.round(x * (levels - 1)).astype(jnp.int32)


def scaled(level: jax.Array, levels: int) -> jax.Array:
    """Return levels as a network takes them, from -1 to 1."""
    return 2 * level.astype(jnp.float32) / (levels - 1) - 1


def check_rule(rule: str, levels: int) -> None:
    """Raise a `UsageError` for a rule that makes two levels, and a model of more."""
    if rule in ("dynamic", "static") and levels != 2:
        raise UsageError(
            f"quantization = {rule} makes pixels black or white, and levels is {levels}; "
            "take levels = 2, or quantization = uniform"
        )


def check_levels(data: Data, levels: int) -> None:
    """Raise a `UsageError` unless all images of the data have levels already."""
    for x in (data.x, data.test_x):
        if x is None:
            continue
        if isinstance(x, ExampleFiles):
            raise UsageError("images in files must be quantized by populace: quantization = uniform")
        exact_levels(np.asarray(x) if x.dtype == np.uint8 else restored(x, np.asarray(data.origin)), levels)


def exact_levels(x: Any, levels: int, hint: str = "quantization = uniform makes levels of any images") -> Any:
    """Return levels (int32) of images made of them: of uint8 their values, of floats `x (levels - 1)`.

    Raises:
        UsageError: a pixel that is no level; says in which image.

    """
    x = np.asarray(x)
    if x.dtype == np.uint8:
        found, wrong = x.astype(np.int32), x >= levels
    else:
        exact = x * (levels - 1.0)
        found = np.rint(exact).astype(np.int32)
        wrong = (np.abs(exact - found) > _NEAR) | (found < 0) | (found >= levels)
    if wrong.any():
        place = tuple(np.argwhere(wrong)[0])
        grey = " (grey, where pixels are black or white)" if levels == 2 else ""
        of = f"0 to {levels - 1}" if x.dtype == np.uint8 else f"multiples of 1/{levels - 1} up to 1"
        raise UsageError(
            f"image {place[0]} holds {x[place]:g}{grey}; {levels} levels are {of}: {hint}, "
            "or take more levels"
        )
    return found
