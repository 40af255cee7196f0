"""Compiled environments of several agents with the interfaces of PettingZoo, `ParallelEnv` and `AECEnv`.

    from populace.rl.multi_agent import aec_env, parallel_env

    env = parallel_env("CleaningRobots-v0(size=5, robots=2)", render_mode="rgb_array")
    observations, infos = env.reset(seed=0)

Episodes are those of the compiled program: `reset(seed=s)` is the environment's reset by the first half of
`jax.random.split(jax.random.key(s))`, and each later reset and step splits off the next key. Every step is a
call of a compiled function, so this is slow: use it to render, to compare, and with tools of PettingZoo.
It needs the package pettingzoo (`pip install 'populace[agents]'`).
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.untrusted.shown import shown
from populace.rl.multi_agent import registry
from populace.rl.multi_agent.task import MultiAgentTask, Step

try:
    import pettingzoo
    from pettingzoo.utils import conversions, wrappers
except ImportError:  # pragma: no cover  (the tests have it)
    raise UsageError("PettingZoo is not installed; install it with pip install 'populace[agents]'") from None


def parallel_env(name: str, render_mode: str | None = None) -> "ParallelWorld":
    """Return an environment in which all agents act at once.

    Args:
        name: an environment of `populace.rl.multi_agent.registry.names()`, with arguments.
        render_mode: None or `"rgb_array"`.

    Raises:
        UsageError: an unknown environment, or one whose agents take turns.

    """
    return ParallelWorld(name, render_mode)


def aec_env(name: str, render_mode: str | None = None) -> Any:
    """Return an environment in which agents act one after the other (agent environment cycle).

    Where they take turns in the world itself (`moves='turns'`), each sees what those before it did. Elsewhere
    their actions are collected, and the world takes one step after the last one's.
    """
    task = registry.make(name)
    if takes_turns(task):
        return wrappers.OrderEnforcingWrapper(TurnWorld(name, render_mode))
    return wrappers.OrderEnforcingWrapper(conversions.parallel_to_aec(ParallelWorld(name, render_mode)))


def takes_turns(task: MultiAgentTask) -> bool:
    """Return whether one agent acts at a time."""
    view, _ = _programs(task)[0](jax.random.key(0))
    return bool((np.asarray(view.alive) & ~np.asarray(view.acting)).any())


class _World:
    """What both interfaces share: keys, spaces, and conversions to NumPy."""

    metadata: dict[str, Any]
    possible_agents: list[str]

    def __init__(self, name: str, render_mode: str | None = None) -> None:
        if render_mode not in (None, "rgb_array"):
            raise UsageError(f"{name}: render_mode must be None or 'rgb_array', got {shown(render_mode)}")
        self.name, self.task = name, registry.make(name)
        world = self.task.environment
        self.metadata = {
            "render_modes": ["rgb_array"], "render_fps": world.fps, "name": world.name,
            "is_parallelizable": not takes_turns(self.task),
        }  # fmt: skip
        self.render_mode = render_mode
        self.possible_agents, self.agents = list(self.task.agents), []
        self.masked = bool(getattr(world, "masked", False))
        self._actions, self._observations = {}, {}
        for agent, count, (low, high) in zip(self.task.agents, self.task.actions, world.bounds):
            seen: Any = gymnasium.spaces.Box(low, high, dtype=np.float32)
            if self.masked:
                mask = gymnasium.spaces.Box(0, 1, (count,), np.int8)
                seen = gymnasium.spaces.Dict({"observation": seen, "action_mask": mask})
            self._actions[agent], self._observations[agent] = gymnasium.spaces.Discrete(count), seen
        size = (self.task.state_size,)
        self.state_space = gymnasium.spaces.Box(-np.inf, np.inf, size, np.float32)
        self._reset_program, self._step_program = _programs(self.task)
        self._key: Any = None
        self._env_state: Any = None
        self._view: Any = None

    def __reduce__(self) -> Any:
        return type(self), (self.name, self.render_mode)

    def observation_space(self, agent: str) -> Any:
        """Return the space of an agent's observations."""
        return self._observations[agent]

    def action_space(self, agent: str) -> Any:
        """Return the space of an agent's actions."""
        return self._actions[agent]

    def state(self) -> np.ndarray:
        """Return the global state."""
        if self._view is None:
            raise UsageError(f"{self.name}: call reset() before the first state()")
        return np.asarray(self._view.state)

    def render(self) -> Any:
        """Return an image of the current state, (height, width, 3) uint8; None without a render mode."""
        from populace.rl.multi_agent.environments.draw import draw

        if self.render_mode is None:
            return None
        if self._env_state is None:
            raise UsageError(f"{self.name}: call reset() before the first render()")
        return draw(self.task.environment, jax.device_get(self._env_state))

    def close(self) -> None:
        """Do nothing: there is nothing to be closed."""

    def _begin(self, seed: int | None) -> None:
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int | np.integer)):
            raise UsageError(f"{self.name}: seed must be a whole number or None, got {shown(seed)}")
        if seed is not None or self._key is None:
            self._key = jax.random.key(int(np.random.default_rng().integers(2**31)) if seed is None else seed)
        key, self._key = jax.random.split(self._key)
        view, self._env_state = self._reset_program(key)
        self._view = jax.device_get(view)
        self.agents = list(self.possible_agents)

    def _advance(self, actions: dict[str, Any]) -> Step:
        if self._env_state is None:
            raise UsageError(f"{self.name}: call reset() before the first step()")
        if not isinstance(actions, Mapping):
            raise UsageError(
                f"{self.name}: step takes a dictionary with the action of each agent, got {shown(actions)}"
            )
        for agent, action in actions.items():
            if agent not in self._actions or not self._actions[agent].contains(np.asarray(action)):
                raise UsageError(f"{self.name}: {agent} has no action {shown(action)}")
        joint = np.asarray([int(actions.get(agent, 0)) for agent in self.possible_agents], np.int32)
        key, self._key = jax.random.split(self._key)
        step = self._step_program(key, self._env_state, joint)
        self._env_state, self._view = step.env_state, jax.device_get(step.view)
        return step

    def _out(self, step: Step) -> tuple[np.ndarray, np.ndarray]:
        """Return whose part is terminated, and whose is truncated, after a step, (N,)."""
        dead = np.asarray(step.terminated | ~step.last.alive)
        return dead, ~dead & np.asarray(step.truncated | ~step.view.alive)

    def _seen(self, agent: str) -> Any:
        i = self.possible_agents.index(agent)
        found = self._view.observation[i][: self.task.observation_sizes[i]]
        if not self.masked:
            return found
        mask = self._view.available[i][: self.task.actions[i]].astype(np.int8)
        return {"observation": found, "action_mask": mask}


class ParallelWorld(_World, pettingzoo.ParallelEnv[str, Any, Any]):
    """A world whose agents act at once; an agent that dies leaves `agents`, terminated.

    One that a time limit takes out leaves them truncated.
    """

    def __init__(self, name: str, render_mode: str | None = None) -> None:
        """Create the environment; see `parallel_env`."""
        super().__init__(name, render_mode)
        if not self.metadata["is_parallelizable"]:
            raise UsageError(f"{name}: its agents take turns; take aec_env, or moves='sequential'")

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Start an episode; without a seed the random sequence continues."""
        del options
        self._begin(seed)
        return {agent: self._seen(agent) for agent in self.agents}, {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, Any]) -> Any:
        """Take one step by the actions of all agents that are alive."""
        were = self.agents
        if isinstance(actions, Mapping) and (missing := [agent for agent in were if agent not in actions]):
            raise UsageError(f"{self.name}: step needs an action of {missing[0]}, which takes part still")
        step = self._advance(actions)
        index = [self.possible_agents.index(agent) for agent in were]
        reward, (dead, late) = np.asarray(step.reward), self._out(step)
        terminated = {agent: bool(dead[i]) for agent, i in zip(were, index)}
        truncated = {agent: bool(late[i]) for agent, i in zip(were, index)}
        self.agents = [agent for agent in were if not (terminated[agent] or truncated[agent])]
        seen = {agent: self._seen(agent) for agent in were}
        paid = {agent: float(reward[i]) for agent, i in zip(were, index)}
        return seen, paid, terminated, truncated, {agent: {} for agent in were}


class TurnWorld(_World, pettingzoo.AECEnv[str, Any, Any]):
    """A world whose agents act in turns."""

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Start an episode; without a seed the random sequence continues."""
        del options
        self._begin(seed)
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos = {agent: {} for agent in self.agents}
        self.agent_selection = self._turn()

    def observe(self, agent: str) -> Any:
        """Return what an agent sees now."""
        return self._seen(agent)

    def step(self, action: Any) -> None:
        """Take the action of the agent whose turn it is."""
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        self._cumulative_rewards[agent] = 0.0
        step = self._advance({agent: action})
        reward, (dead, late) = np.asarray(step.reward), self._out(step)
        for i, other in enumerate(self.possible_agents):
            if other in self.agents:
                self.rewards[other] = float(reward[i])
                self.terminations[other], self.truncations[other] = bool(dead[i]), bool(late[i])
        self.agent_selection = self._turn()
        self._accumulate_rewards()
        self._deads_step_first()

    def _turn(self) -> str:
        return self.possible_agents[int(np.argmax(self._view.acting))]


@cache
def _programs(task: MultiAgentTask) -> tuple[Any, Any]:
    """Return the compiled start and step of a task, shared by all environments made from it."""
    return jax.jit(task.start), jax.jit(
        lambda key, state, action: task.advance(key, state, jnp.asarray(action))
    )
