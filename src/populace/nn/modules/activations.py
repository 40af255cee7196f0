"""Activation functions by name, as settings give them."""

from collections.abc import Callable

import jax
import jax.numpy as jnp


def identity(x: jax.Array) -> jax.Array:
    """Return x."""
    return x


ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": jax.nn.relu, "leaky_relu": jax.nn.leaky_relu, "elu": jax.nn.elu, "gelu": jax.nn.gelu,
    "silu": jax.nn.silu, "sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "arctan": jnp.arctan,
    "softplus": jax.nn.softplus, "none": identity,
}  # fmt: skip
