"""An environment of several agents as one of a single agent that chooses all their actions, for a worker.

So everything that worker processes do for Gymnasium's environments they do for these: their observation
holds what each agent sees and gets. Nothing here imports JAX.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

from populace.rl.multi_agent.foreign import interfaces
from populace.rl.multi_agent.foreign.layout import Layout
from populace.rl.vector_env.process.interface import InvalidResult, observation_converter, start
from populace.rl.vector_env.process.making import import_class

_MAKERS = ("parallel_env", "env")
"""What modules of PettingZoo's environments call the functions that make them, in the order of preference."""


class JointActions(gymnasium.spaces.MultiDiscrete):
    """Actions of all agents; a sample is one that they may take now.

    Attributes:
        layout: sizes of the agents.
        available: which actions each agent may take now, (N, A).

    """

    def __init__(self, layout: Layout) -> None:
        """Make the space."""
        super().__init__(list(layout.actions))
        self.layout = layout
        self.available = np.ones((len(layout.agents), max(layout.actions)), bool)

    def sample(self, mask: Any = None, probability: Any = None) -> np.ndarray:
        """Return an available action of each agent, drawn uniformly, (N,)."""
        del mask, probability
        return np.asarray([self.np_random.choice(np.flatnonzero(row)) for row in self.available])


class Joint(gymnasium.Env):
    """An environment of another package.

    Args:
        path: `module` of PettingZoo, `module:Class`, or an id of Gymnasium's after `gymnasium:`.
        arguments: keyword arguments of the environment.
        render_mode: how it renders, if it is to.

    """

    def __init__(self, path: str, arguments: dict[str, Any], render_mode: str | None = None) -> None:
        """Create the environment.

        Raises:
            TypeError: it is none of several agents, or has spaces that learners do not support.

        """
        rendered = {} if render_mode is None else {"render_mode": render_mode}
        self.team = interfaces.team(_made(path, arguments | rendered))
        self.metadata = dict(getattr(self.team.env, "metadata", None) or {})
        agents = self.team.agents
        spaces = [self.team.spaces(agent) for agent in agents]
        for agent, (action, _) in zip(agents, spaces):
            if type(action).__name__ != "Discrete":
                raise TypeError(
                    f"agent '{agent}' has actions {action}; learners of several agents need Discrete"
                )
        self._start = [start(action) for action, _ in spaces]
        sizes, self._flat = zip(*(_flattener(agent, seen) for agent, (_, seen) in zip(agents, spaces)))
        self._begun = self.team.begin(0)
        state = self.team.state()
        self._stateless = state is None
        size = sum(sizes) if state is None else np.asarray(state).size
        self.layout = Layout(agents, tuple(int(a.n) for a, _ in spaces), sizes, size)
        self.action_space = self._joint = JointActions(self.layout)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (self.layout.size,), np.float32)
        limit = getattr(getattr(self.team.env, "unwrapped", None), "max_cycles", None)
        if isinstance(limit, int):
            self.spec = EnvSpec("Joint-v0", max_episode_steps=limit * self.team.turns)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode; return what all agents see."""
        del options
        moment = self.team.begin(0 if seed is None else seed)
        self._living = frozenset(moment.observation) & frozenset(self.team.agents)
        return self._packed(moment), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Take one step by an action of each agent (N,), counted from 0; those who do not act do nothing.

        The game ends when no agent's part goes on: it is truncated if the time limit ended one of them.
        """
        chosen = {
            agent: int(a) + first
            for agent, a, first in zip(self.team.agents, action, self._start)
            if agent in self._acting
        }
        moment = self.team.act(chosen, self._living)
        seen = self._packed(moment)
        self._living -= moment.terminated | moment.truncated
        over, late = not self._living, bool(moment.truncated)
        return seen, float(self.layout.split(seen)["reward"].sum()), over and not late, over and late, {}

    def render(self) -> Any:
        """Return what the environment draws of the present moment."""
        return self.team.env.render()

    def close(self) -> None:
        """Close the environment."""
        self.team.env.close()

    def _packed(self, moment: interfaces.Moment) -> np.ndarray:
        """Return what all agents see and got, (K,).

        Whose part ended is not alive; whether it was truncated in this step is told apart.
        """
        whole = np.zeros(self.layout.size, np.float32)
        parts, self._acting = self.layout.split(whole), moment.acting
        for i, agent in enumerate(self.team.agents):
            free = parts["available"][i][: self.layout.actions[i]]
            free[:] = 1
            if agent not in self._living:
                continue
            seen, mask = moment.observation[agent], moment.info.get(agent, {}).get("action_mask")
            if isinstance(seen, dict) and "action_mask" in seen:
                seen, mask = seen["observation"], seen["action_mask"]
            parts["observation"][i, : self.layout.sizes[i]] = self._flat[i](seen)
            parts["alive"][i] = agent not in moment.terminated | moment.truncated
            parts["truncated"][i] = agent in moment.truncated
            parts["acting"][i] = agent in moment.acting
            parts["reward"][i] = moment.reward.get(agent, 0.0)
            if mask is not None:
                allowed = _mask(agent, mask, len(free))
                if allowed.any():
                    free[:] = allowed
                elif agent in moment.acting:
                    raise InvalidResult(f"no available action for agent '{agent}', which acts")
        parts["state"][:] = self._state(parts["observation"])
        self._joint.available = parts["available"] > 0
        return whole

    def _state(self, observation: np.ndarray) -> np.ndarray:
        """Return the global state (S,): the environment's own, or what all agents see."""
        if self._stateless:
            return np.concatenate([row[:size] for row, size in zip(observation, self.layout.sizes)])
        found = np.ravel(np.asarray(self.team.state(), np.float32))
        if found.size != self.layout.state:
            raise InvalidResult(f"a state of {found.size} numbers, which had {self.layout.state} before")
        return found


def _made(path: str, arguments: dict[str, Any]) -> Any:
    source, colon, name = path.partition(":")
    if source == "gymnasium" and colon:
        return gymnasium.make(name, disable_env_checker=True, **arguments)
    if colon:
        return import_class(path)(**arguments)
    module = import_module(path)
    for maker in _MAKERS:
        if hasattr(module, maker):
            return getattr(module, maker)(**arguments)
    raise TypeError(
        f"module '{path}' has neither `parallel_env` nor `env`, which make PettingZoo's environments"
    )


def _flattener(agent: str, space: Any) -> tuple[int, Callable[[Any], np.ndarray]]:
    """Return the numbers in an agent's observation, and a function that makes them, (F_i,).

    An array is flattened; of an integer, or of each of several, its place is 1 and the others are 0.
    """
    inside = getattr(space, "spaces", None)
    if isinstance(inside, dict) and {"observation", "action_mask"} <= {*inside}:
        space = inside["observation"]
    kind = type(space).__name__
    if kind not in ("Box", "MultiBinary", "Discrete", "MultiDiscrete"):
        raise TypeError(
            f"agent '{agent}' has observations {kind}; they must be one array, or a dictionary of "
            "'observation' and 'action_mask'; flatten them in a class of your own"
        )
    convert = observation_converter(space)
    if kind in ("Box", "MultiBinary"):
        return int(np.prod(space.shape)), lambda seen: np.ravel(convert(seen))
    counts = np.ravel(space.n if kind == "Discrete" else space.nvec)
    places = np.cumsum([0, *counts[:-1]])

    def one_hot(seen: Any) -> np.ndarray:
        found = np.zeros(int(counts.sum()), np.float32)
        found[places + np.ravel(convert(seen))] = 1
        return found

    return int(counts.sum()), one_hot


def _mask(agent: str, mask: Any, count: int) -> np.ndarray:
    found = np.asarray(mask)
    if found.shape != (count,):
        raise InvalidResult(f"an action_mask of shape {found.shape} for agent '{agent}', expected ({count},)")
    return found.astype(bool)
