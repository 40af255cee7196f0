"""State aggregation: a continuous observation cut into bins, so that a table can hold its values.

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
_ENDLESS = 1e30  # Some environments write the largest float where they mean that there is no bound.


@dataclasses.dataclass(frozen=True, eq=False)
class Bins:
    """A box of observations cut into `counts[d]` bins of equal width along each dimension d.

        bin_d = clip(floor((x_d - low_d) / (high_d - low_d) * counts_d), 0, counts_d - 1)
        index = (bin_0 * counts_1 + bin_1) * counts_2 + ...

    What lies outside the box falls into its outermost bin. A NaN has no bin; its index means nothing.

    Attributes:
        counts: bins of each dimension, (d,).
        low: where the first bin begins, (d,).
        high: where the last bin ends, (d,).

    """

    counts: tuple[int, ...]
    low: np.ndarray
    high: np.ndarray

    @property
    def states(self) -> int:
        """How many bins there are in all."""
        return math.prod(self.counts)

    def index(self, observation: Any) -> Any:
        """Map observations (..., d) to the index of their bin, (...) int32; NumPy stays NumPy."""
        xp = jnp if isinstance(observation, jax.Array) else np
        x = xp.asarray(observation, xp.float32).reshape(*np.shape(observation)[:-1], len(self.counts))
        counts = np.asarray(self.counts, np.float32)
        # Cut before the cast: what overflows an integer would come out on the wrong side.
        inside = xp.clip(x, self.low, self.high)
        place = xp.floor((inside - self.low) / (self.high - self.low) * counts)
        place = xp.minimum(place, counts - 1).astype(xp.int32)
        strides = np.cumprod((1, *self.counts[:0:-1]))[::-1].astype(np.int32)
        return xp.sum(place * strides, axis=-1, dtype=xp.int32)

    def centers(self) -> np.ndarray:
        """Return the middle of each bin, (states, d) in the order of the index."""
        places = np.stack(np.unravel_index(np.arange(self.states), self.counts), axis=-1)
        return self.low + (places + 0.5) / np.asarray(self.counts) * (self.high - self.low)


class Aggregated:
    """An environment whose observations are indices of bins; `reset` and `step` as Gymnax's.

    It needs no more than these two of what it wraps, so it serves environments on the host as well.
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
    """Return the task whose observation is one integer, the index of a bin.

    Args:
        task: with an observation of d numbers.
        bins: how many along each dimension; one number stands for all of them.
        low: where the first bins begin: a number for all dimensions, or one for each, where None stands for
            the environment's own bound.
        high: where the last bins end, likewise.

    Raises:
        UsageError: an observation that is no vector of numbers, another number of bins or bounds than it
            has dimensions, an infinite bound for which no other is given, or bounds the wrong way round.

    """
    if task.states or len(task.observation_shape) != 1:
        shape = (
            f"one of {task.states} states" if task.states else f"an array of shape {task.observation_shape}"
        )
        raise UsageError(
            f"environment '{task.name}': bins need an observation of (d,) numbers, it has {shape}"
        )
    made = cut(task.name, task.observation_low, task.observation_high, bins, low, high)
    return dataclasses.replace(
        task,
        environment=Aggregated(task.environment, made),
        states=made.states,
        observation_shape=(),
        observation_dtype=np.dtype(np.int32),
        observation_low=np.float32(0),
        observation_high=np.float32(made.states - 1),
    )


def aggregated(
    env: "gymnasium.Env[Any, Any]", bins: int | Sequence[int], low: Bound = None, high: Bound = None
) -> "gymnasium.Env[Any, Any]":
    """Return the Gymnasium environment whose observation is the index of a bin, as `aggregate` does.

    It is an `ObservationWrapper` over a `Discrete` space. Raises as `aggregate`.
    """
    import gymnasium

    name = env.spec.id if env.spec else type(env.unwrapped).__name__
    space = env.observation_space
    if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1:
        raise UsageError(f"environment '{name}': bins need an observation of (d,) numbers, it has {space}")
    made = cut(name, space.low, space.high, bins, low, high)
    discrete = gymnasium.spaces.Discrete(made.states)

    def index(observation: Any) -> np.int64:
        return np.int64(made.index(np.asarray(observation)))

    return gymnasium.wrappers.TransformObservation(env, index, discrete)


def cut(
    name: str, low: np.ndarray, high: np.ndarray, bins: int | Sequence[int], begin: Bound, end: Bound
) -> Bins:
    """Return the bins of an environment, whose own bounds are `low` and `high`, (d,).

    Raises:
        UsageError: as `aggregate`.

    """
    size = len(low)
    counts = tuple(int(n) for n in ([bins] * size if isinstance(bins, int) else bins))
    if len(counts) != size:
        raise UsageError(
            f"environment '{name}' has {size} numbers in its observation, got bins for {len(counts)}"
        )
    if min(counts) < 1:
        raise UsageError(f"environment '{name}': bins must be at least 1 along each dimension, got {counts}")
    if math.prod(counts) > np.iinfo(np.int32).max:
        raise UsageError(f"environment '{name}': {math.prod(counts):,} bins in all are too many; take fewer")
    lows, highs = _bounds(name, "low", low, begin), _bounds(name, "high", high, end)
    for d, (first, last) in enumerate(zip(lows, highs)):
        if not (abs(first) < _ENDLESS and abs(last) < _ENDLESS):
            raise UsageError(
                f"environment '{name}': dimension {d} of the observation has no finite bounds "
                f"({_written(first)} to {_written(last)}); give low and high for its bins "
                "(settings bins_low and bins_high)"
            )
        if first >= last:
            raise UsageError(
                f"environment '{name}': the bins of dimension {d} must begin below their end, "
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
            f"environment '{name}' has {len(bounds)} numbers in its observation, "
            f"got {len(values)} for {which}"
        )
    for d, value in enumerate(values):
        if value is not None:
            bounds[d] = value
    return bounds


def _written(bound: float) -> str:
    return f"{bound:g}" if abs(bound) < _ENDLESS else "-inf" if bound < 0 else "inf"
