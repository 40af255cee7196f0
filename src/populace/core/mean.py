"""Metrics that add up: over steps, members, devices and hosts."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp


class Mean(eqx.Module):
    """A metric as a sum and a weight, so that it adds up over steps, members, devices and hosts.

    `value = total / weight`. What was not measured carries no weight, so a mean over
    the samples that exist is not padded with zeros.
    """

    total: jax.Array
    weight: jax.Array

    def __init__(self, total: Any, weight: Any = 1.0) -> None:
        self.total = jnp.asarray(total, jnp.float32)
        self.weight = jnp.asarray(weight, jnp.float32)

    def __add__(self, other: "Mean") -> "Mean":
        return Mean(self.total + other.total, self.weight + other.weight)

    @property
    def value(self) -> jax.Array:
        """Total over weight; NaN where nothing was measured."""
        return self.total / self.weight


Metrics = Mapping[str, Mean]
