"""Conversion of observations to the input features of a network, and of its outputs to actions."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from populace.rl.task import Task

UNBOUNDED = 1e30
"""Bounds at least this large are none: some environments say so by the largest number of the data type."""


def features(task: Task) -> int:
    """Return the number of input features of an observation."""
    return task.states or math.prod(task.observation_shape)


def pixel_scale(task: Task) -> float:
    """Return 1/255 if observations are pictures in bytes, from 0 to 255, else 1."""
    pictures = task.observation_dtype == np.uint8 and len(task.observation_shape) >= 2
    full = pictures and np.min(task.observation_low) == 0 and np.max(task.observation_high) == 255
    return 1 / 255 if full else 1.0


def scaled(observation: jax.Array, scale: float) -> jax.Array:
    """Return observations as float32, multiplied by the scale."""
    found = observation.astype(jnp.float32)
    return found if scale == 1 else found * scale


def flat(task: Task, observation: jax.Array, scale: float = 1.0) -> jax.Array:
    """Flatten observations (..., *shape) to scaled features (..., F); an integer state becomes one-hot."""
    if task.states:
        return jax.nn.one_hot(observation, task.states)
    lead = observation.shape[: observation.ndim - len(task.observation_shape)]
    return scaled(observation.reshape(*lead, features(task)), scale)


def to_env_action(task: Task, action: jax.Array) -> jax.Array:
    """Convert a policy's actions to the environment's.

    Args:
        task: the environment.
        action: discrete actions (...), returned unchanged; or continuous ones (..., D), where [-1, 1] spans
            the box of the environment, or the real units where it has no bounds.

    Returns:
        discrete actions (...), or continuous ones (..., *action_shape), clipped to the box.

    """
    if task.box is None:
        return action
    low, high = (np.asarray(bound, np.float32) for bound in task.box)
    bounded = (np.abs(low) < UNBOUNDED) & (np.abs(high) < UNBOUNDED)
    bottom, top = np.where(bounded, low, -1.0), np.where(bounded, high, 1.0)
    center, half = top / 2 + bottom / 2, top / 2 - bottom / 2
    shaped = action.reshape(*action.shape[:-1], *task.action_shape)
    return jnp.clip(center + half * shaped, low, high)
