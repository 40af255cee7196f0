"""Policies: networks that give a distribution over actions, discrete or continuous, and value networks.

Continuous actions. The network thinks in units of the box: -1 and 1 are its bounds. What it draws is
Gaussian and may lie outside; it is clipped to the bounds when it is applied, and its probability is that of
what was drawn. So the gradient is that of a Gaussian policy whose environment clips, with no correction of
the density as squashing would need, and bounds of 0.01 or of 100 are learned alike. A part of the box that is
not bounded on both sides keeps the environment's own units.
"""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.rl.networks.custom import PerExample
from populace.rl.networks.distributions import Categorical, Gaussian
from populace.rl.networks.mlp import Network
from populace.rl.task import Task


def outputs(task: Task) -> int:
    """Return the outputs that a policy's network needs: a logit per action, or a mean per dimension."""
    return task.actions or math.prod(task.action_shape)


class Policy(eqx.Module):
    """A network whose outputs are logits, or means beside deviations that no observation changes."""

    network: Network | PerExample
    log_deviation: jax.Array | None
    """Logarithms of the standard deviations (D,), in units of the box; None where actions are discrete."""
    outputs: int = eqx.field(static=True)
    """Logits, or means, that the network gives."""

    def __init__(self, task: Task, network: Network | PerExample, deviation: Any) -> None:
        """Make the policy of a task by a network; `deviation` is what a continuous one starts from."""
        self.network, self.outputs = network, outputs(task)
        self.log_deviation = None if task.actions else jnp.full(self.outputs, jnp.log(deviation))

    def __call__(self, x: jax.Array) -> Categorical | Gaussian:
        """Return the distribution given features (..., inputs)."""
        y = self.network(x)
        return Categorical(y) if self.log_deviation is None else Gaussian(y, self.log_deviation)

    def noise(self, key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """Return what `sample` needs for so many actions, all drawn at once: `(*shape, outputs)`."""
        draw = jax.random.gumbel if self.log_deviation is None else jax.random.normal
        return draw(key, (*shape, self.outputs))
