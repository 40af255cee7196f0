"""Random steps in a user's compiled environment, before anything is trained in it.

A compiled program cannot stop at the step where something goes wrong: the member would diverge, and the run
would report only its number and the iteration. So an environment that a user wrote takes some random steps
first.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.rl.spaces import to_env_action
from populace.rl.task import Task

STEPS, NUM_ENVS = 200, 4


def check_env(task: Task) -> None:
    """Take `STEPS` random steps in `NUM_ENVS` copies of the environment.

    Raises:
        UsageError: observations are not one array, their shape differs from that of `observation_space`,
            reward, terminated or truncated are not one number each, or an observation or a reward is not
            finite; the message names the step and the copy.

    """
    shapes = jax.eval_shape(lambda key: task.reset(key, NUM_ENVS)[0], jax.random.key(0))
    if not hasattr(shapes, "shape"):
        raise UsageError(
            f"environment '{task.name}': observations must be one array, got {type(shapes).__name__}"
        )
    if shapes.shape[1:] != task.observation_shape:
        raise UsageError(
            f"environment '{task.name}': an observation has shape {shapes.shape[1:]}, but observation_space "
            f"has shape {task.observation_shape}"
        )
    _check_step(task)
    observations, rewards = jax.jit(lambda key: _play(task, key))(jax.random.key(0))
    for what, found in (("an observation", observations), ("a reward", rewards)):
        values = np.asarray(found, np.float64).reshape(STEPS + 1, NUM_ENVS, -1)
        for step, copy, entry in np.argwhere(~np.isfinite(values))[:1]:
            raise UsageError(
                f"environment '{task.name}' returned {what} of {values[step, copy, entry]} after {step} "
                f"random steps of copy {copy}; observations and rewards must be finite"
            )


def _check_step(task: Task) -> None:
    """Raise a `UsageError` if a step does not return one number each for reward, terminated and truncated."""

    def step(key: jax.Array) -> Any:
        _, env_state = task.reset(key, NUM_ENVS)
        return task.step(key, env_state, _actions(task, key))[2:5]

    for what, found in zip(("reward", "terminated", "truncated"), jax.eval_shape(step, jax.random.key(0))):
        if found.shape != (NUM_ENVS,):
            raise UsageError(
                f"environment '{task.name}': {what} has shape {found.shape[1:]}, but must be one number"
            )


def _play(task: Task, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return observations (STEPS + 1, NUM_ENVS, ...) and rewards (STEPS + 1, NUM_ENVS), the first 0."""
    start_key, key = jax.random.split(key)
    first, env_state = task.reset(start_key, NUM_ENVS)

    def step(env_state: Any, key: jax.Array) -> Any:
        step_key, action_key = jax.random.split(key)
        _, env_state, reward, _, _, info = task.step(step_key, env_state, _actions(task, action_key))
        return env_state, (info["final_observation"], reward)

    _, (obs, reward) = jax.lax.scan(step, env_state, jax.random.split(key, STEPS))
    return jnp.concatenate([first[None], obs]), jnp.concatenate([jnp.zeros_like(reward[:1]), reward])


def _actions(task: Task, key: jax.Array) -> jax.Array:
    """Return uniformly random actions (NUM_ENVS, ...); from [-1, 1] where the action has no bounds."""
    if task.box is None:
        return jax.random.randint(key, (NUM_ENVS,), 0, task.actions)
    uniform = jax.random.uniform(key, (NUM_ENVS, math.prod(task.action_shape)), minval=-1.0)
    return to_env_action(task, uniform)
