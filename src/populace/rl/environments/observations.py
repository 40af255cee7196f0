"""Observing: what a person hands to a policy, checked, and counted as agents count.

Inside a program nothing notices an observation that cannot be: an index beyond a table is moved to its end,
and the one-hot of such a state is all zeros. Either way an action comes out that means nothing.
"""

from typing import Any

import numpy as np

from populace.core.errors import UsageError
from populace.rl.task import Task


def observed(task: Task, observation: Any) -> np.ndarray:
    """Return one observation of the environment, or a batch (k, ...), with what is discrete counted from 0.

    Args:
        task: the environment as it is, without bins.
        observation: as the environment gives it.

    Raises:
        UsageError: it has another shape than the environment's, or a whole number beyond its space.

    """
    seen, shape = np.asarray(observation), task.observation_shape
    if seen.ndim not in (len(shape), len(shape) + 1) or seen.shape[seen.ndim - len(shape) :] != shape:
        raise UsageError(
            f"environment '{task.name}': an observation has shape {shape}, a batch of them one axis more in "
            f"front; got shape {seen.shape}"
        )
    if task.observation_dtype.kind not in "iu":
        return seen  # the bounds of real numbers are often crossed by the environments themselves
    counted = seen - np.asarray(task.observation_start, np.int64)
    inside = (task.observation_low <= counted) & (counted <= task.observation_high)
    wrong = ~(inside & (counted == np.floor(counted)))
    if wrong.any():
        place = np.argwhere(wrong)[0]
        part = tuple(place[seen.ndim - len(shape) :])
        first = np.broadcast_to(task.observation_start, shape)[part]
        low, high = (int(bound[part]) + int(first) for bound in (task.observation_low, task.observation_high))
        raise UsageError(
            f"environment '{task.name}': {'a part of ' if shape else ''}an observation is a whole number "
            f"from {low} to {high}, got {seen[tuple(place)]}"
        )
    return counted.astype(task.observation_dtype)
