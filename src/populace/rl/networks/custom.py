"""A network of the user's own as the networks of agents: action values, or a policy's outputs and values.

The user's module maps one example of shape `input_shape(task)` to (outputs,).
"""

from typing import Any

import equinox as eqx
import jax

from populace.nn.modules.custom import NetworkFn, check_network
from populace.rl.spaces import scaled
from populace.rl.task import Task


class PerExample(eqx.Module):
    """A module on one example, over any number of leading axes: features (..., F) to (..., outputs)."""

    module: Any
    shape: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the outputs (..., outputs)."""
        y = jax.vmap(self.module)(x.reshape(-1, *self.shape))
        return y.reshape(*x.shape[:-1], y.shape[-1])


class CustomQNetwork(eqx.Module):
    """A module as a network of action values: from an observation to (A,), or (A, outputs)."""

    module: Any
    states: int = eqx.field(static=True)
    actions: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True)
    scale: float = eqx.field(static=True, default=1.0)

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """Return the values of one observation; there is no noise that a key could draw."""
        del key
        x = jax.nn.one_hot(x, self.states) if self.states else scaled(x, self.scale)
        y = self.module(x)
        return y.reshape(self.actions, self.outputs) if self.outputs else y


def input_shape(task: Task) -> tuple[int, ...]:
    """Return the shape of what a network is given: the observation, or the one-hot number of a state."""
    return (task.states,) if task.states else task.observation_shape


def per_example(network_fn: NetworkFn, task: Task, outputs: int, key: jax.Array) -> PerExample:
    """Return the user's network for features of a task's observations."""
    shape = input_shape(task)
    return PerExample(network_fn(shape, outputs, key), shape)


def q_network(
    network_fn: NetworkFn, task: Task, outputs: int, key: jax.Array, scale: float = 1.0
) -> CustomQNetwork:
    """Return the user's network of action values; `outputs` numbers per action, or 0 for the value itself."""
    module = network_fn(input_shape(task), task.actions * max(outputs, 1), key)
    return CustomQNetwork(module, task.states, task.actions, outputs, scale)


def check(network_fn: NetworkFn, task: Task, outputs: int) -> None:
    """Raise a `UsageError` where the user's network does not fit the task."""
    shape = input_shape(task)

    def use(module: Any, x: jax.Array) -> jax.Array:
        return jax.vmap(module)(x)

    check_network(lambda key: network_fn(shape, outputs, key), use, shape, outputs, f"'{task.name}'")
