"""Observations as the features of a network, and its outputs as actions of the environment."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from populace.rl.task import Task


def features(task: Task) -> int:
    """Return how many numbers a network is given of an observation."""
    return task.states or math.prod(task.observation_shape)


def flat(task: Task, observation: jax.Array) -> jax.Array:
    """Return observations (..., *shape) as features (..., F); a state that is a number becomes one-hot."""
    if task.states:
        return jax.nn.one_hot(observation, task.states)
    lead = observation.shape[: observation.ndim - len(task.observation_shape)]
    return observation.reshape(*lead, features(task)).astype(jnp.float32)


def to_env_action(task: Task, action: jax.Array) -> jax.Array:
    """Return what the environment is given for drawn actions: (...), or (..., D) in units of the box."""
    if task.box is None:
        return action
    low, high = (np.asarray(bound, np.float32) for bound in task.box)
    bounded = np.isfinite(low) & np.isfinite(high)
    bottom, top = np.where(bounded, low, -1.0), np.where(bounded, high, 1.0)
    center, half = top / 2 + bottom / 2, top / 2 - bottom / 2
    shaped = action.reshape(*action.shape[:-1], *task.action_shape)
    return jnp.clip(center + half * shaped, low, high)
