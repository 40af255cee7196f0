"""State aggregation: continuous observations divided into bins, so that a table can hold the values.

Sutton and Barto 2018, "Reinforcement Learning: An Introduction", section 9.3.
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from populace.core.errors import UsageError
from populace.rl.environments.bins import Bins, Bound, make_bins
from populace.rl.task import Task

if TYPE_CHECKING:
    import gymnasium


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
