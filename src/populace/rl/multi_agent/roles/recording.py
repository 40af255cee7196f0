"""What is seen of a trained team: a film, trajectories, and where each agent was."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from populace.core.media import Image, Video, Visualization
from populace.rl.multi_agent.environments import draw
from populace.rl.multi_agent.foreign.film import film
from populace.rl.multi_agent.foreign.world import ForeignWorld
from populace.rl.multi_agent.roles import plots
from populace.rl.multi_agent.task import MultiAgentTask

EPISODES = 24
"""Episodes that the heat maps are drawn from."""
_MOST_FRAMES = 200


def record(
    task: MultiAgentTask, act: Any, memory: Callable[[int], Any], key: jax.Array, episodes: int
) -> tuple[list[Any], np.ndarray, np.ndarray]:
    """Play greedy episodes on the host, in parallel.

    Returns:
        states by step, each with a leading axis of `episodes`; until which step each episode went; and the
        return of each.

    """
    start, advance = jax.jit(lambda k: task.reset(k, episodes)), jax.jit(jax.vmap(task.advance))
    reset_key, key = jax.random.split(key)
    view, state = start(reset_key)
    seen, kept = [jax.device_get(state)], memory(episodes)
    done, length, total = np.zeros(episodes, bool), np.zeros(episodes, int), np.zeros(episodes)
    while not done.all() and len(seen) <= task.horizon:
        action, kept = act(view, kept)
        step = advance(jax.random.split(jax.random.fold_in(key, len(seen)), episodes), state, action)
        view, state = step.view, step.env_state
        seen.append(jax.device_get(state))
        total += np.where(done, 0.0, np.asarray(task.team_reward(np.asarray(step.reward))))
        length += ~done
        done |= np.asarray(step.terminated) | np.asarray(step.truncated)
    return seen, length, total


def visualizations(
    task: MultiAgentTask, act: Any, memory: Callable[[int], Any], key: jax.Array
) -> dict[str, Visualization]:
    """Return the film and pictures of a team; of a world without a drawing, none.

    Another package's environment draws itself, and there is nothing but its film.
    """
    if isinstance(task.environment, ForeignWorld):
        own = film(task, act, memory, key)
        return {} if own is None else {"episode": own}
    if not draw.renders(task.environment):
        return {}
    states, length, total = record(task, act, memory, key, EPISODES)
    first = [jax.tree.map(lambda x: x[0], state) for state in states[: length[0] + 1]]
    frames = (draw.draw(task.environment, state) for state in first[:_MOST_FRAMES])
    caption = f"one greedy episode, return {total[0]:.3g}"
    found: dict[str, Visualization] = {"episode": Video(frames, task.environment.fps, caption)}
    cells = getattr(first[0], "cell", None)
    if cells is not None and hasattr(task.environment, "size"):
        path = np.stack([state.cell for state in first])
        found["trajectories"] = Image(
            plots.trajectories(path, task.environment.size), "the same episode: the path of each agent"
        )
        every = [np.stack([state.cell[e] for state in states[: length[e] + 1]]) for e in range(EPISODES)]
        found["places"] = Image(
            plots.heat_maps(np.concatenate(every), task.environment.size),
            f"where each agent was, share of the steps of {EPISODES} greedy episodes",
        )
    return found
