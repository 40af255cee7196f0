r"""Features of linear action values, `Q(s, a) = sum_i w[i, a] x_i(s)`.

A table is the special case with one feature per state, 1 in its own state and 0 elsewhere.
"""

import itertools
from abc import abstractmethod
from typing import Any, ClassVar, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.settings import Settings, setting
from populace.rl.spaces import UNBOUNDED, scaled
from populace.rl.task import Task

_MAX_TABLE_SIZE = 100_000_000  # values, 400 MB per member


class Basis(Protocol):
    """The features of one task. Weights are (size, A); `x` is the result of `encode` for one observation."""

    size: int

    def start(self, value: float, actions: int) -> jax.Array:
        """Return weights with which every action has this value in every state."""
        ...

    def encode(self, observation: jax.Array) -> jax.Array:
        """Return x of one observation: its features, or the index of its state in a table."""
        ...

    def values(self, weights: jax.Array, x: jax.Array) -> jax.Array:
        """Return Q(s, .), shape (A,)."""
        ...

    def add(self, weights: jax.Array, x: jax.Array, action: jax.Array, amount: jax.Array) -> jax.Array:
        """Return the weights after adding `amount` times the gradient of Q(s, action)."""
        ...

    def dense(self, x: jax.Array) -> jax.Array:
        """Return the feature vector, shape (size,)."""
        ...

    def add_trace(self, weights: jax.Array, trace: jax.Array, amount: jax.Array) -> jax.Array:
        """Return the weights after adding `amount` times an eligibility trace (size, A)."""
        ...


class Indexed:
    """One feature per state: x is the index of the state."""

    def __init__(self, size: int) -> None:
        self.size = size

    def start(self, value: float, actions: int) -> jax.Array:
        """Return a table filled with the value."""
        return jnp.full((self.size, actions), value, jnp.float32)

    def encode(self, observation: jax.Array) -> jax.Array:
        """Return the index."""
        return observation.astype(jnp.int32)

    def values(self, weights: jax.Array, x: jax.Array) -> jax.Array:
        """Return a row of the table."""
        return weights[x]

    def add(self, weights: jax.Array, x: jax.Array, action: jax.Array, amount: jax.Array) -> jax.Array:
        """Add to one entry of the table."""
        return weights.at[x, action].add(amount)

    def dense(self, x: jax.Array) -> jax.Array:
        """Return a one-hot vector."""
        return jax.nn.one_hot(x, self.size)

    def add_trace(self, weights: jax.Array, trace: jax.Array, amount: jax.Array) -> jax.Array:
        """Add to all entries."""
        return weights + amount * trace


class Linear:
    """Real-valued features: x is the feature vector.

    Args:
        size: number of features.
        transform: function from an observation to features (size,).
        constant: index of the feature that is always 1; negative if there is none.
        scale: factor of the step size, per feature.

    """

    def __init__(self, size: int, transform: Any, constant: int, scale: np.ndarray | float = 1.0) -> None:
        self.size, self.transform, self.constant = size, transform, constant
        self.scale = np.broadcast_to(np.asarray(scale, np.float32), (size,))

    def start(self, value: float, actions: int) -> jax.Array:
        """Return weights that are 0, except for those of the constant feature."""
        weights = jnp.zeros((self.size, actions))
        return weights if self.constant < 0 else weights.at[self.constant].set(value)

    def encode(self, observation: jax.Array) -> jax.Array:
        """Return the features."""
        return self.transform(observation)

    def values(self, weights: jax.Array, x: jax.Array) -> jax.Array:
        """Return the dot products of the features with the weights of each action."""
        return x @ weights

    def add(self, weights: jax.Array, x: jax.Array, action: jax.Array, amount: jax.Array) -> jax.Array:
        """Add the scaled features to the weights of one action."""
        return weights + amount * (self.scale * x)[:, None] * jax.nn.one_hot(action, weights.shape[1])

    def dense(self, x: jax.Array) -> jax.Array:
        """Return the features."""
        return x

    def add_trace(self, weights: jax.Array, trace: jax.Array, amount: jax.Array) -> jax.Array:
        """Add the scaled trace to the weights."""
        return weights + amount * self.scale[:, None] * trace


class Features(Settings):
    """A kind of features, independent of the task."""

    @abstractmethod
    def of(self, task: Task, scale: float = 1.0) -> Basis:
        """Return the features of a task, whose observations are multiplied by `scale` if these are raw.

        Raises:
            UsageError: the task's observations do not suit these features.

        """


class Table(Features):
    """One value per state and action; observations must be one integer."""

    kind: ClassVar[str] = "table"

    def of(self, task: Task, scale: float = 1.0) -> Indexed:
        """Return one feature per state."""
        if not task.states:
            size = int(np.prod(task.observation_shape))
            raise UsageError(
                f"environment '{task.name}' has observations of {size} numbers, but a table needs the index "
                "of a state: set bins, one entry per number, or other features (raw, fourier)"
            )
        if task.states * task.actions > _MAX_TABLE_SIZE:
            raise UsageError(
                f"a table of {task.states:,} states and {task.actions} actions has "
                f"{task.states * task.actions:,} values; the maximum is {_MAX_TABLE_SIZE:,}: use fewer bins"
            )
        return Indexed(task.states)


class Raw(Features):
    """`x = (o, 1)`: the observation itself, and a constant.

    For one-hot observations and without the constant, this is a table.
    """

    kind: ClassVar[str] = "raw"

    constant: bool = setting(True, help="add a feature that is always 1")

    def of(self, task: Task, scale: float = 1.0) -> Linear:
        """Return the observation as features."""
        _check_numbers(task, "raw")
        inputs = int(np.prod(task.observation_shape))

        def transform(observation: jax.Array) -> jax.Array:
            obs = scaled(jnp.ravel(observation), scale)
            return jnp.append(obs, 1.0) if self.constant else obs

        return Linear(inputs + self.constant, transform, inputs if self.constant else -1)


class Fourier(Features):
    r"""Cosines `x_c = cos(pi c . o)` for all c in {0, ..., order}^d, of observations o (d,) scaled to [0, 1].

    There are `(order + 1)^d` features. The step size of feature c is divided by `|c|` (Konidaris, Osentoski
    & Thomas 2011, "Value Function Approximation in Reinforcement Learning using the Fourier Basis").
    """

    kind: ClassVar[str] = "fourier"

    order: int = setting(3, low=1, help="highest frequency per dimension, in half periods")
    low: tuple[float, ...] = setting((), help="lower bound per dimension; empty: the environment's")
    high: tuple[float, ...] = setting((), help="upper bound per dimension; empty: the environment's")

    def of(self, task: Task, scale: float = 1.0) -> Linear:
        """Return the cosines."""
        _check_numbers(task, "fourier")
        low = _bound(task, self.low, task.observation_low, "low")
        high = _bound(task, self.high, task.observation_high, "high")
        if not (low < high).all():
            raise UsageError(f"features.low {low.tolist()} must be below features.high {high.tolist()}")
        if (self.order + 1) ** low.size > 100_000:
            raise UsageError(
                f"a Fourier basis of order {self.order} in {low.size} dimensions has "
                f"{(self.order + 1) ** low.size:,} features; the maximum is 100,000: lower features.order"
            )
        waves = np.asarray(list(itertools.product(range(self.order + 1), repeat=low.size)), np.float32)
        length = np.linalg.norm(waves, axis=1)

        def transform(observation: jax.Array) -> jax.Array:
            inside = jnp.clip((jnp.ravel(observation) - low) / (high - low), 0.0, 1.0)
            return jnp.cos(jnp.pi * (waves @ inside))

        return Linear(len(waves), transform, 0, 1 / np.where(length > 0, length, 1.0))


def _check_numbers(task: Task, kind: str) -> None:
    if task.states:
        raise UsageError(
            f"environment '{task.name}' has observations that are the index of a state: features '{kind}' "
            "need vectors; use features 'table'"
        )


def _bound(task: Task, given: tuple[float, ...], own: np.ndarray, side: str) -> np.ndarray:
    size = int(np.prod(task.observation_shape))
    if given and len(given) != size:
        raise UsageError(
            f"features.{side} needs {size} numbers for environment '{task.name}', got {len(given)}"
        )
    bound = np.asarray(given or own, np.float32).ravel()
    finite = np.abs(bound) < UNBOUNDED
    if not finite.all():
        at = int(np.argmin(finite))
        raise UsageError(
            f"environment '{task.name}' has an infinite bound ({side} of dimension {at}): set features.{side}"
        )
    return bound
