"""Checks of the observations that a user passes to a policy.

A compiled program does not notice an invalid observation: an index beyond a table is moved to its end, and
the one-hot vector of such a state is all zeros. Either way the policy would return a meaningless action.
"""

from typing import Any

import numpy as np

from populace.core.errors import UsageError
from populace.rl.task import Task


def from_env_obs(task: Task, observation: Any) -> np.ndarray:
    """Convert an observation, or a batch (k, ...), to the agent's, whose discrete values start at 0.

    Args:
        task: the environment's task, without state aggregation.
        observation: as the environment returns it.

    Raises:
        UsageError: the shape differs from the environment's, a number is NaN or infinite, or an integer
            lies outside the environment's space.

    """
    obs, shape = np.asarray(observation), task.observation_shape
    if obs.ndim not in (len(shape), len(shape) + 1) or obs.shape[obs.ndim - len(shape) :] != shape:
        raise UsageError(
            f"environment '{task.name}': an observation has shape {shape}, a batch one more leading axis; "
            f"got shape {obs.shape}"
        )
    if obs.dtype.kind not in "fiub":
        raise UsageError(f"environment '{task.name}': an observation must be numbers, got {obs.dtype}")
    if not np.isfinite(obs).all():
        entry = np.argwhere(~np.isfinite(obs))[0]
        where = f" at {[int(i) for i in entry]}" if obs.ndim else ""
        raise UsageError(
            f"environment '{task.name}': an observation must be finite, got {obs[tuple(entry)]}{where}"
        )
    if task.observation_dtype.kind not in "iu":
        return obs  # bounds are not checked, because environments often exceed their own
    shifted = obs - np.asarray(task.observation_start, np.int64)
    inside = (task.observation_low <= shifted) & (shifted <= task.observation_high)
    wrong = ~(inside & (shifted == np.floor(shifted)))
    if wrong.any():
        index = np.argwhere(wrong)[0]
        entry = tuple(index[obs.ndim - len(shape) :])
        first = np.broadcast_to(task.observation_start, shape)[entry]
        low, high = (
            int(bound[entry]) + int(first) for bound in (task.observation_low, task.observation_high)
        )
        raise UsageError(
            f"environment '{task.name}': {'an entry of ' if shape else ''}an observation must be a whole "
            f"number from {low} to {high}, got {obs[tuple(index)]}"
        )
    return shifted.astype(task.observation_dtype)
