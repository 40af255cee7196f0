"""The environments of other packages that ours equal: what final policies are judged in, where installed.

Both report a time limit in words of their own: lbforaging says that the game is over. Here it is truncation.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from populace.core.errors import RunError
from populace.rl.multi_agent.task import MultiAgentTask


@dataclass(frozen=True)
class Peer:
    """An environment of another package, as functions of an object that it makes.

    Attributes:
        name: of the package.
        make: makes an environment.
        reset: starts an episode by a seed.
        step: takes actions (N,); returns rewards (N,) and whether the episode ended.
        observe: returns what the agents see, (N, F).
        state: returns the state in our terms.

    """

    name: str
    make: Callable[[], Any]
    reset: Callable[[Any, int], None]
    step: Callable[[Any, np.ndarray], tuple[np.ndarray, bool]]
    observe: Callable[[Any], np.ndarray]
    state: Callable[[Any], Any]


def of(task: MultiAgentTask) -> Peer | None:
    """Return the peer of a task; None if it has none, or it is not installed."""
    find = getattr(task.environment, "peer", None)
    return None if find is None else find()


def play(
    peer: Peer, task: MultiAgentTask, act: Any, memory: Callable[[int], Any], episodes: int, seed: int
) -> np.ndarray:
    """Play episodes in the peer, all at the same time; return the team's return of each.

    What an agent acts by is what the peer shows; which actions are available follows from its state.
    """
    envs = [peer.make() for _ in range(episodes)]
    for i, env in enumerate(envs):
        peer.reset(env, seed + i)
    see, kept = jax.jit(jax.vmap(task.see)), memory(episodes)
    total, done = np.zeros(episodes), np.zeros(episodes, bool)
    while not done.all():
        states = [peer.state(env) for env in envs]
        view = jax.device_get(see(jax.tree.map(lambda *x: np.stack(x), *states)))
        seen = np.stack([peer.observe(env) for env in envs])
        if not np.allclose(seen, view.observation, atol=1e-4):
            raise RunError(f"{peer.name} shows something else than '{task.name}': are they the same game?")
        action, kept = act(view, kept)
        for i in np.flatnonzero(~done):
            reward, done[i] = peer.step(envs[i], np.asarray(action[i]))
            total[i] += float(task.team_reward(reward))
    return total


def mpe(world: Any, state_type: Any) -> Peer | None:
    """Return the environment of mpe2 that a particle world equals."""
    try:
        module = importlib.import_module(f"mpe2.{world.scenario}")
    except ImportError:
        return None

    def step(env: Any, action: np.ndarray) -> tuple[np.ndarray, bool]:
        _, reward, _, truncated, _ = env.step(dict(zip(world.agents, action.tolist())))
        return np.asarray([reward[a] for a in world.agents]), not env.agents or all(truncated.values())

    def state(env: Any) -> Any:
        inside = env.unwrapped.world
        goals = [getattr(agent, "_goal_a", None) for agent in inside.agents]
        goals += [getattr(agent, "_goal_b", None) for agent in inside.agents]  # the speaker's
        at = [i for i, landmark in enumerate(inside.landmarks) if any(goal is landmark for goal in goals)]
        said = inside.agents[0].state.c if not inside.agents[0].silent else np.zeros(3)
        found: dict[str, Any] = {
            "time": np.int32(env.unwrapped.steps),
            "place": np.asarray([a.state.p_pos for a in inside.agents], np.float32),
            "velocity": np.asarray([a.state.p_vel for a in inside.agents], np.float32),
            "landmark": np.asarray([m.state.p_pos for m in inside.landmarks], np.float32),
            "goal": np.int32(at[0] if at else 0),
            "message": np.asarray(said, np.float32),
        }
        return state_type(**found)

    def observe(env: Any) -> np.ndarray:
        rows = [np.asarray(env.unwrapped.observe(agent)) for agent in world.agents]
        return np.stack([np.pad(row, (0, max(map(len, rows)) - len(row))) for row in rows])

    return Peer(
        name="mpe2",
        make=lambda: module.parallel_env(max_cycles=world.horizon, **world.peer_arguments),
        reset=lambda env, seed: env.reset(seed=seed),
        step=step,
        observe=observe,
        state=state,
    )


def foraging(world: Any, state_type: Any) -> Peer | None:
    """Return the environment of lbforaging that a foraging world equals."""
    try:
        from lbforaging.foraging import ForagingEnv
    except ImportError:
        return None

    def step(env: Any, action: np.ndarray) -> tuple[np.ndarray, bool]:
        _, reward, over, truncated, _ = env.step(action.tolist())
        return np.asarray(reward, float), bool(over or truncated)

    def state(env: Any) -> Any:
        cells = np.argwhere(env.field > 0)
        food = np.full((world.foods, 2), -1, np.int32)
        level = np.zeros(world.foods, np.int32)
        food[: len(cells)] = cells
        level[: len(cells)] = env.field[tuple(cells.T)]
        found: dict[str, Any] = {
            "time": np.int32(env.current_step),
            "cell": np.asarray([p.position for p in env.players], np.int32),
            "level": np.asarray([p.level for p in env.players], np.int32),
            "food": food, "food_level": level, "spawned": np.int32(env._food_spawned),
        }  # fmt: skip
        return state_type(**found)

    return Peer(
        name="lbforaging",
        make=lambda: ForagingEnv(
            players=world.players, min_player_level=1, max_player_level=world.max_level,
            min_food_level=1, max_food_level=None, field_size=(world.size, world.size),
            max_num_food=world.foods, sight=world.sight, max_episode_steps=world.horizon,
            force_coop=world.coop,
        ),
        reset=lambda env, seed: env.reset(seed=seed),
        step=step,
        observe=lambda env: np.stack(env._make_gym_obs()),
        state=state,
    )  # fmt: skip
