"""Random weights and inputs from NumPy: unlike JAX's, drawing them compiles nothing."""

from typing import Any

import jax
import numpy as np

from tests import draws


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    """Return standard normal numbers in float32."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def filled(make: Any, seed: int = 0) -> Any:
    """Return what `make(key)` makes, with weights of `tests.draws`."""
    return draws.filled(lambda: make(quick_key()), seed)


def quick_key(seed: Any = 0) -> Any:
    """A random key whose draws compile quickly, for where it does not matter which numbers they are."""
    return jax.random.key(seed, impl="unsafe_rbg")


def weigh(y: Any) -> Any:
    """Return a sum in which every number has another weight, so that no gradient hides in symmetry."""
    return (y * np.cos(np.arange(y.size)).astype(y.dtype).reshape(y.shape)).sum()
