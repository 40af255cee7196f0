"""Random steps in a user's environment of several agents, before anything is trained in it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import PopulaceError, UsageError, typed_line
from populace.core.random import root_key
from populace.rl.multi_agent.task import MultiAgentTask

STEPS, NUM_ENVS = 100, 4


def check_world(task: MultiAgentTask, *, play: bool = True) -> None:
    """Check the shapes of what an environment returns, and take random steps in it.

    Args:
        task: the environment.
        play: whether to take `STEPS` random steps in `NUM_ENVS` copies, which takes compiling it.

    Raises:
        UsageError: masks, rewards or flags of the wrong shape; an observation or reward that is not finite;
            an agent without an action; one that is dead and acts, or came back to life; or no agent left.

    """
    try:
        _check_shapes(task)
        found = jax.jit(lambda key: _play(task, key))(root_key(0)) if play else {}
    except PopulaceError:
        raise
    except Exception as error:  # a user's class may raise anything while JAX traces it
        raise UsageError(f"environment '{task.name}' does not work: {typed_line(error)}") from error
    wrong = {name: np.asarray(flags) for name, flags in found.items()}
    words = {
        "observation": "an observation that is not finite",
        "reward": "a reward that is not finite",
        "stuck": "no available action for an agent that acts",
        "ghost": "a dead agent that acts",
        "revived": "an agent that was dead and is alive again",
        "lost": "no agent alive, and neither terminated nor truncated",
    }
    for name, flags in wrong.items():
        at, said = np.argwhere(flags), words[name]
        if at.size:
            step, copy = at[0][:2]
            who = f" ('{task.agents[at[0][2]]}')" if at.shape[1] > 2 else ""
            raise UsageError(
                f"environment '{task.name}' returned {said}{who}, after {step} random steps of copy {copy}"
            )


def _check_shapes(task: MultiAgentTask) -> None:
    n, many = task.team, task.most_actions
    view = jax.eval_shape(lambda key: task.environment.view(task.environment.reset(key)), jax.random.key(0))
    for name, width, sizes in (
        ("observation", task.features, task.observation_sizes),
        ("available", many, task.actions),
    ):
        found = getattr(view, name)
        shapes = [found.shape] if hasattr(found, "shape") else [x.shape for x in found]
        expected = [(n, width)] if hasattr(found, "shape") else [(s,) for s in sizes]
        if shapes != expected:
            raise UsageError(
                f"environment '{task.name}': {name} must have shape {_listed(expected)}, "
                f"got {_listed(shapes)}"
            )
    for name in ("alive", "acting"):
        if getattr(view, name).shape != (n,):
            raise UsageError(
                f"environment '{task.name}': {name} must have shape {(n,)}, got {getattr(view, name).shape}"
            )

    def step(key: jax.Array) -> Any:
        state = task.environment.reset(key)
        after, reward, _ = task.environment.step(key, state, jnp.zeros(n, jnp.int32))
        return reward, task.environment.terminated(after), task.environment.truncated(after)

    reward, *flags = jax.eval_shape(step, jax.random.key(0))
    if reward.shape != (n,):
        raise UsageError(f"environment '{task.name}': rewards must have shape {(n,)}, got {reward.shape}")
    for name, flag in zip(("terminated", "truncated"), flags):
        if flag.shape != ():
            raise UsageError(
                f"environment '{task.name}': {name} must be one value of the whole game, "
                f"got shape {flag.shape}"
            )


def _listed(shapes: list[tuple[int, ...]]) -> str:
    return " and ".join(str(shape) for shape in shapes)


def _play(task: MultiAgentTask, key: jax.Array) -> dict[str, jax.Array]:
    """Return what was wrong, by kind: (steps, copies) or (steps, copies, agents) booleans."""
    start_key, play_key = jax.random.split(key)
    view, env_state = task.reset(start_key, NUM_ENVS)

    def one(carry: Any, key: jax.Array) -> Any:
        view, env_state = carry
        draw_key, step_key = jax.random.split(key)
        noise = jax.random.gumbel(draw_key, view.available.shape)
        action = jnp.argmax(jnp.where(view.available, noise, -jnp.inf), -1)
        step = task.step(step_key, env_state, action)
        over = step.terminated | step.truncated
        found = {
            "observation": ~jnp.isfinite(view.observation).all(-1),
            "reward": ~jnp.isfinite(step.reward),
            "stuck": view.acting & ~view.available.any(-1),
            "ghost": view.acting & ~view.alive,
            "revived": step.last.alive & ~view.alive,
            "lost": ~step.last.alive.any(-1) & ~over,
        }
        return (step.view, step.env_state), found

    return jax.lax.scan(one, (view, env_state), jax.random.split(play_key, STEPS))[1]
