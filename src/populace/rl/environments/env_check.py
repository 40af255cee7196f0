"""Random play in a compiled environment of the user's, before anything is trained in it.

Inside a compiled program nobody can stop at the step at which something went wrong: a member would diverge,
and only its number and its iteration be told. So a class that comes from outside is played for a few steps
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

STEPS, COPIES = 200, 4


def check_env(task: Task) -> None:
    """Play `STEPS` random steps in `COPIES` copies, episodes following one another.

    Raises:
        UsageError: an observation is no array or has not the shape that its space says, or an observation or
            a reward is not finite: which, at which step of which copy.

    """
    shapes = jax.eval_shape(lambda key: task.reset(key, COPIES)[0], jax.random.key(0))
    if not hasattr(shapes, "shape"):
        raise UsageError(
            f"environment '{task.name}': observations must be one array, got {type(shapes).__name__}"
        )
    if shapes.shape[1:] != task.observation_shape:
        raise UsageError(
            f"environment '{task.name}': an observation has shape {shapes.shape[1:]}, its space says "
            f"{task.observation_shape}"
        )
    seen, paid = jax.jit(lambda key: _play(task, key))(jax.random.key(0))
    for what, found in (("an observation", seen), ("a reward", paid)):
        values = np.asarray(found, np.float64).reshape(STEPS + 1, COPIES, -1)
        for step, copy, part in np.argwhere(~np.isfinite(values))[:1]:
            raise UsageError(
                f"environment '{task.name}' gave {what} of {values[step, copy, part]} after {step} random "
                f"steps of copy {copy}; observations and rewards must be finite"
            )


def _play(task: Task, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return what was seen, (steps + 1, copies, ...), and paid, (steps + 1, copies)."""
    start_key, key = jax.random.split(key)
    observation, world = task.reset(start_key, COPIES)

    def step(world: Any, key: jax.Array) -> Any:
        step_key, action_key = jax.random.split(key)
        _, world, reward, _, _, info = task.step(step_key, world, _actions(task, action_key))
        return world, (info["final_observation"], reward)

    _, (seen, paid) = jax.lax.scan(step, world, jax.random.split(key, STEPS))
    return jnp.concatenate([observation[None], seen]), jnp.concatenate([jnp.zeros_like(paid[:1]), paid])


def _actions(task: Task, key: jax.Array) -> jax.Array:
    """Return an even draw of actions; of a part without bounds, one from [-1, 1]."""
    if task.box is None:
        return jax.random.randint(key, (COPIES,), 0, task.actions)
    drawn = jax.random.uniform(key, (COPIES, math.prod(task.action_shape)), minval=-1.0)
    return to_env_action(task, drawn)
