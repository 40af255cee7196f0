"""Weights drawn by NumPy: to compile the drawing takes far longer than to ask a network."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import numpy as np


def filled(make: Callable[[], Any], seed: int = 0, deviation: float = 0.5) -> Any:
    """Return what `make` makes, every number drawn anew: biases of zero would hide an error in them."""
    rng = np.random.default_rng(seed)

    def draw(leaf: Any) -> Any:
        if not isinstance(leaf, jax.ShapeDtypeStruct):
            return leaf
        return (deviation * rng.normal(size=leaf.shape)).astype(leaf.dtype)

    return jax.tree.map(draw, eqx.filter_eval_shape(make))
