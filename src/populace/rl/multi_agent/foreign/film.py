"""A film of a team in another package's environment, by that environment's own renderer."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.media import Video
from populace.rl.environments import gymnasium_evaluation
from populace.rl.multi_agent.foreign.world import ForeignState
from populace.rl.multi_agent.task import MultiAgentTask


def film(task: MultiAgentTask, act: Any, memory: Callable[[int], Any], key: jax.Array) -> Video | None:
    """Return one greedy episode of a task whose world is a `ForeignWorld`; None if it is not drawn to arrays.

    It is played in this process, in an environment made as the worker processes make theirs.
    """
    make = task.environment.host.cache.worker_pool.spec.make
    if not gymnasium_evaluation.renders_to_arrays(task.name, make):
        return None
    see = jax.jit(lambda seen: task.see(ForeignState(None, seen, seen, jnp.bool(False), jnp.bool(False))))  # pyright: ignore[reportArgumentType]

    def begin() -> Callable[[Any], np.ndarray]:
        kept = memory(1)

        def policy(seen: Any) -> np.ndarray:
            nonlocal kept
            action, kept = act(jax.tree.map(lambda x: x[None], see(seen)), kept)
            return np.asarray(action)[0]

        return policy

    seed = int(jax.random.randint(key, (), 0, 2**31 - 1))
    frames, fps, total = gymnasium_evaluation.recorded(task.name, make, begin, seed)
    total = total / task.team if task.shared_reward else total
    return Video(frames, fps, f"one greedy episode, return {total:.3g}")
