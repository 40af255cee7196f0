"""State aggregation: continuous observations divided into bins, so that a table can hold the values.

Sutton and Barto 2018, "Reinforcement Learning: An Introduction", section 9.3.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.rl.task import Task

if TYPE_CHECKING:
    import gymnasium

Bound = float | Sequence[float | None] | None
_UNBOUNDED = 1e30  # Some environments use the largest float to say that there is no bound.


@dataclasses.dataclass(frozen=True, eq=False)
class Bins:
    """A box of observations divided into `counts[d]` bins of equal width along each dimension d.

        bin_d = clip(floor((x_d - low_d) / (high_d - low_d) * counts_d), 0, counts_d - 1)
        index = (bin_0 * counts_1 + bin_1) * counts_2 + ...

    Observations outside the box fall into its outermost bins. The index of a NaN is meaningless.

    Attributes:
        counts: number of bins along each dimension, (d,).
        low: lower bound of the first bin, (d,).
        high: upper bound of the last bin, (d,).

    """

    counts: tuple[int, ...]
    low: np.ndarray
    high: np.ndarray

    @property
    def states(self) -> int:
        """Total number of bins."""
        return math.prod(self.counts)

    def index(self, observation: Any) -> Any:
        """Map observations (..., d) to bin indices (...) int32; NumPy arrays stay NumPy arrays."""
        xp = jnp if isinstance(observation, jax.Array) else np
        x = xp.asarray(observation, xp.float32).reshape(*np.shape(observation)[:-1], len(self.counts))
        counts = np.asarray(self.counts, np.float32)
        # Clip before the cast: a value that overflows an integer would land in the wrong bin.
        inside = xp.clip(x, self.low, self.high)
        bins = xp.floor((inside - self.low) / (self.high - self.low) * counts)
        bins = xp.minimum(bins, counts - 1).astype(xp.int32)
        strides = np.cumprod((1, *self.counts[:0:-1]))[::-1].astype(np.int32)
        return xp.sum(bins * strides, axis=-1, dtype=xp.int32)

    def centers(self) -> np.ndarray:
        """Return the center of each bin, (states, d), ordered by index."""
        bins = np.stack(np.unravel_index(np.arange(self.states), self.counts), axis=-1)
        return self.low + (bins + 0.5) / np.asarray(self.counts) * (self.high - self.low)


class Aggregated:
    """An environment whose observations are indices of bins, with Gymnax's methods `reset` and `step`.

    It uses only these two methods of the wrapped environment, so it works for Gymnasium environments too.
    """

    def __init__(self, environment: Any, bins: Bins) -> None:
        self.environment = environment
        self.bins = bins

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "environment":
            raise AttributeError(name)
        return getattr(self.environment, name)

    def reset(self, key: jax.Array, params: Any = None) -> tuple[jax.Array, Any]:
        """Start an episode."""
        observation, state = self.environment.reset(key, params)
        return self.bins.index(observation), state

    def step(self, key: jax.Array, state: Any, action: Any, params: Any = None) -> tuple[Any, ...]:
        """Take a step: observation, state, reward, terminated, truncated, info."""
        observation, state, reward, terminated, truncated, info = self.environment.step(
            key, state, action, params
        )
        info = info | {"final_observation": self.bins.index(info["final_observation"])}
        return self.bins.index(observation), state, reward, terminated, truncated, info

    def observation_space(self, params: Any = None) -> Any:
        """Return the space of the indices."""
        from gymnax.environments import spaces

        return spaces.Discrete(self.bins.states)


def aggregate(task: Task, bins: int | Sequence[int], low: Bound = None, high: Bound = None) -> Task:
    """Return the task with observations replaced by the index of their bin, an integer.

    Args:
        task: a task whose observations are vectors (d,).
        bins: number of bins per dimension: one number for all dimensions, or a list.
        low: lower bounds of the first bins: one number for all dimensions, or a list, in which None keeps
            the environment's own bound.
        high: upper bounds of the last bins, likewise.

    Raises:
        UsageError: observations that are not vectors, a list of bins or bounds whose length is not d, an
            infinite bound without a replacement, or a lower bound that is not below its upper bound.

    """
    if task.states or len(task.observation_shape) != 1:
        shape = (
            f"one of {task.states} states" if task.states else f"an array of shape {task.observation_shape}"
        )
        raise UsageError(
            f"environment '{task.name}': bins need observations of shape (d,), but an observation is {shape}"
        )
    made = make_bins(task.name, task.observation_low, task.observation_high, bins, low, high)
    return dataclasses.replace(
        task,
        environment=Aggregated(task.environment, made),
        states=made.states,
        observation_shape=(),
        observation_dtype=np.dtype(np.int32),
        observation_low=np.float32(0),
        observation_high=np.float32(made.states - 1),
    )


def aggregate_env(
    env: "gymnasium.Env[Any, Any]", bins: int | Sequence[int], low: Bound = None, high: Bound = None
) -> "gymnasium.Env[Any, Any]":
    """Wrap a Gymnasium environment so that its observation is the index of a bin, as `aggregate` does.

    The result is an `ObservationWrapper` with a `Discrete` observation space.

    Args:
        env: an environment with a `Box` of shape (d,) as its observation space.
        bins: as for `aggregate`.
        low: as for `aggregate`.
        high: as for `aggregate`.

    Raises:
        UsageError: as for `aggregate`.

    """
    import gymnasium

    name = env.spec.id if env.spec else type(env.unwrapped).__name__
    space = env.observation_space
    if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1:
        raise UsageError(
            f"environment '{name}': bins need observations of shape (d,), but observation_space is {space}"
        )
    made = make_bins(name, space.low, space.high, bins, low, high)
    discrete = gymnasium.spaces.Discrete(made.states)

    def index(observation: Any) -> np.int64:
        return np.int64(made.index(np.asarray(observation)))

    return gymnasium.wrappers.TransformObservation(env, index, discrete)


def make_bins(
    name: str, low: np.ndarray, high: np.ndarray, bins: int | Sequence[int], begin: Bound, end: Bound
) -> Bins:
    """Return the bins for an environment with observation bounds `low` and `high`, (d,).

    Args:
        name: name of the environment, for error messages.
        low: lower bounds of the observation.
        high: upper bounds of the observation.
        bins: as for `aggregate`.
        begin: replacements of `low`, as `low` of `aggregate`.
        end: replacements of `high`.

    Raises:
        UsageError: as for `aggregate`.

    """
    size = len(low)
    counts = tuple(int(n) for n in ([bins] * size if isinstance(bins, int) else bins))
    if len(counts) != size:
        raise UsageError(
            f"environment '{name}' has observations of {size} numbers, got bins for {len(counts)}"
        )
    if min(counts) < 1:
        raise UsageError(f"environment '{name}': bins must be at least 1 along each dimension, got {counts}")
    if math.prod(counts) > np.iinfo(np.int32).max:
        raise UsageError(f"environment '{name}': {math.prod(counts):,} bins in total are too many; use fewer")
    lows, highs = _bounds(name, "low", low, begin), _bounds(name, "high", high, end)
    for d, (first, last) in enumerate(zip(lows, highs)):
        if not (abs(first) < _UNBOUNDED and abs(last) < _UNBOUNDED):
            raise UsageError(
                f"environment '{name}': dimension {d} of the observation has no finite bounds "
                f"({_format(first)} to {_format(last)}); give low and high for its bins "
                "(settings bins_low and bins_high)"
            )
        if first >= last:
            raise UsageError(
                f"environment '{name}': the lower bound of dimension {d} must be below its upper bound, "
                f"got {first:g} to {last:g}"
            )
    return Bins(counts, lows, highs)


def _bounds(name: str, which: str, own: np.ndarray, given: Bound) -> np.ndarray:
    bounds = np.array(own, np.float32)
    if given is None:
        return bounds
    values = list(given) if isinstance(given, Sequence | np.ndarray) else [given] * len(bounds)
    if len(values) != len(bounds):
        raise UsageError(
            f"environment '{name}' has observations of {len(bounds)} numbers, got {len(values)} for {which}"
        )
    for d, value in enumerate(values):
        if value is not None:
            bounds[d] = value
    return bounds


def _format(bound: float) -> str:
    return f"{bound:g}" if abs(bound) < _UNBOUNDED else "-inf" if bound < 0 else "inf"
