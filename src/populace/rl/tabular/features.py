r"""Features: what a linear learner sees of an observation, `Q(s, a) = sum_i w[i, a] x_i(s)`.

A table is the special case of one feature per state, of which one is 1 and the others are 0.
"""

import itertools
from abc import abstractmethod
from typing import Any, ClassVar, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.settings import Settings, setting
from populace.rl.task import Task

_ENDLESS = 1e30  # Gymnax writes the largest number of its type where there is no bound
_LARGEST = 100_000_000  # values of one table, 400 MB for each member


class Basis(Protocol):
    """Features of one task; `weights` are (size, A), `x` is what `see` makes of one observation."""

    size: int

    def start(self, value: float, actions: int) -> jax.Array:
        """Return weights that give every action in every state this value."""
        ...

    def see(self, observation: jax.Array) -> jax.Array:
        """Return x for one observation."""
        ...

    def values(self, weights: jax.Array, x: jax.Array) -> jax.Array:
        """Return Q(s, .), shape (A,)."""
        ...

    def add(self, weights: jax.Array, x: jax.Array, action: jax.Array, amount: jax.Array) -> jax.Array:
        """Return the weights after a step of `amount` along the gradient of Q(s, action)."""
        ...

    def dense(self, x: jax.Array) -> jax.Array:
        """Return the features themselves, shape (size,)."""
        ...

    def spread(self, weights: jax.Array, trace: jax.Array, amount: jax.Array) -> jax.Array:
        """Return the weights after a step of `amount` along a trace (size, A)."""
        ...


class Indexed:
    """One feature per state: x is the index of the state."""

    def __init__(self, size: int) -> None:
        self.size = size

    def start(self, value: float, actions: int) -> jax.Array:
        """Return the table."""
        return jnp.full((self.size, actions), value, jnp.float32)

    def see(self, observation: jax.Array) -> jax.Array:
        """Return the index."""
        return observation.astype(jnp.int32)

    def values(self, weights: jax.Array, x: jax.Array) -> jax.Array:
        """Return a row of the table."""
        return weights[x]

    def add(self, weights: jax.Array, x: jax.Array, action: jax.Array, amount: jax.Array) -> jax.Array:
        """Change one entry of the table."""
        return weights.at[x, action].add(amount)

    def dense(self, x: jax.Array) -> jax.Array:
        """Return one-hot features."""
        return jax.nn.one_hot(x, self.size)

    def spread(self, weights: jax.Array, trace: jax.Array, amount: jax.Array) -> jax.Array:
        """Change all entries."""
        return weights + amount * trace


class Linear:
    """Real features: x holds them.

    Args:
        size: how many.
        transform: observation to features (size,).
        constant: index of the feature that is 1 everywhere; below 0 if there is none.
        scale: factor on the step size of each feature.

    """

    def __init__(self, size: int, transform: Any, constant: int, scale: np.ndarray | float = 1.0) -> None:
        self.size, self.transform, self.constant = size, transform, constant
        self.scale = np.broadcast_to(np.asarray(scale, np.float32), (size,))

    def start(self, value: float, actions: int) -> jax.Array:
        """Return zeros but for the constant feature."""
        weights = jnp.zeros((self.size, actions))
        return weights if self.constant < 0 else weights.at[self.constant].set(value)

    def see(self, observation: jax.Array) -> jax.Array:
        """Return the features."""
        return self.transform(observation)

    def values(self, weights: jax.Array, x: jax.Array) -> jax.Array:
        """Return the scalar products of the features with the weights of each action."""
        return x @ weights

    def add(self, weights: jax.Array, x: jax.Array, action: jax.Array, amount: jax.Array) -> jax.Array:
        """Move the weights of one action along the features."""
        return weights + amount * (self.scale * x)[:, None] * jax.nn.one_hot(action, weights.shape[1])

    def dense(self, x: jax.Array) -> jax.Array:
        """Return the features."""
        return x

    def spread(self, weights: jax.Array, trace: jax.Array, amount: jax.Array) -> jax.Array:
        """Move the weights along a trace."""
        return weights + amount * self.scale[:, None] * trace


class Features(Settings):
    """A kind of features, without the task."""

    @abstractmethod
    def of(self, task: Task) -> Basis:
        """Return the features of a task.

        Raises:
            UsageError: they do not fit its observations.

        """


class Table(Features):
    """One value per state and action; observations must be one integer."""

    kind: ClassVar[str] = "table"

    def of(self, task: Task) -> Indexed:
        """Return one feature per state."""
        if not task.states:
            many = int(np.prod(task.observation_shape))
            raise UsageError(
                f"environment '{task.name}' shows {many} numbers and not the number of a state: give bins, "
                "one per number, or other features (raw, fourier)"
            )
        if task.states * task.actions > _LARGEST:
            raise UsageError(
                f"a table of {task.states:,} states and {task.actions} actions has "
                f"{task.states * task.actions:,} values; the most is {_LARGEST:,}: take fewer bins"
            )
        return Indexed(task.states)


class Raw(Features):
    """`x = (o, 1)`: the observation as it is, and a constant.

    Of a one-hot observation without the constant, this is a table.
    """

    kind: ClassVar[str] = "raw"

    constant: bool = setting(True, help="whether a feature is 1 everywhere")

    def of(self, task: Task) -> Linear:
        """Return the numbers of the observation."""
        _check_numbers(task, "raw")
        inputs = int(np.prod(task.observation_shape))

        def transform(observation: jax.Array) -> jax.Array:
            seen = jnp.ravel(observation).astype(jnp.float32)
            return jnp.append(seen, 1.0) if self.constant else seen

        return Linear(inputs + self.constant, transform, inputs if self.constant else -1)


class Fourier(Features):
    r"""The cosines `x_c = cos(pi c . o)` for all c in {0, ..., order}^d, of observations scaled to [0, 1].

    The step size of feature c is divided by `|c|` (Konidaris, Osentoski & Thomas 2011, "Value Function
    Approximation in Reinforcement Learning using the Fourier Basis"). d numbers need `(order + 1)^d`
    features.
    """

    kind: ClassVar[str] = "fourier"

    order: int = setting(3, low=1, help="highest frequency of each number, in half waves")
    low: tuple[float, ...] = setting((), help="lowest value of each number; empty: the environment's")
    high: tuple[float, ...] = setting((), help="highest value of each number; empty: the environment's")

    def of(self, task: Task) -> Linear:
        """Return the cosines."""
        _check_numbers(task, "fourier")
        low = _bound(task, self.low, task.observation_low, "low")
        high = _bound(task, self.high, task.observation_high, "high")
        if not (low < high).all():
            raise UsageError(f"features.low {low.tolist()} must be below features.high {high.tolist()}")
        if (self.order + 1) ** low.size > 100_000:
            raise UsageError(
                f"a Fourier basis of order {self.order} over {low.size} numbers has "
                f"{(self.order + 1) ** low.size:,} features; the most is 100,000: lower features.order"
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
            f"environment '{task.name}' shows the number of a state: features '{kind}' need a table"
        )


def _bound(task: Task, given: tuple[float, ...], own: np.ndarray, side: str) -> np.ndarray:
    size = int(np.prod(task.observation_shape))
    if given and len(given) != size:
        raise UsageError(
            f"features.{side} needs {size} numbers for environment '{task.name}', got {len(given)}"
        )
    bound = np.asarray(given or own, np.float32).ravel()
    finite = np.abs(bound) < _ENDLESS
    if not finite.all():
        at = int(np.argmin(finite))
        raise UsageError(
            f"environment '{task.name}' has an infinite bound ({side} of number {at}): give features.{side}"
        )
    return bound
