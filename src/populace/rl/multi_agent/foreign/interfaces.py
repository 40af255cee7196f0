"""The interfaces of other packages' environments of several agents, as one: begin, act, and what is seen.

PettingZoo has two: `ParallelEnv`, whose agents act at once, and `AECEnv`, whose agents act in turns (Terry et
al. 2021). Others derive from `gymnasium.Env`, and have an entry for each agent in spaces and rewards.
Nothing here imports JAX: a worker process loads it.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

from populace.rl.vector_env.process.interface import InvalidResult

_DEAD_STEPS = 100  # per agent, that an AECEnv may take to remove those whose part ended


@dataclass
class Moment:
    """What agents see at one time, as the environment says it, and what the step before brought, by agent.

    Attributes:
        observation: of all agents whose part goes on, or ended in the step before.
        info: of the same agents.
        reward: of the same agents.
        terminated: agents whose part ended in the step before.
        truncated: agents whose part the time limit ended in the step before.
        acting: agents that choose an action now.

    """

    observation: dict[str, Any]
    info: dict[str, Any]
    reward: dict[str, Any] = field(default_factory=dict)
    terminated: frozenset[str] = frozenset()
    truncated: frozenset[str] = frozenset()
    acting: frozenset[str] = frozenset()


class Team(ABC):
    """An environment of several agents.

    Attributes:
        env: the environment.
        agents: names of all agents.
        turns: steps in which each agent acts once, if all are alive.

    """

    turns = 1

    def __init__(self, env: Any) -> None:
        """Take an environment.

        Raises:
            TypeError: it does not say beforehand which agents it may have.

        """
        self.env = env
        possible = getattr(env, "possible_agents", None)
        if not possible:
            raise TypeError("it has no `possible_agents`, the names of all agents that it may have")
        self.agents = tuple(map(str, possible))

    def spaces(self, agent: str) -> tuple[Any, Any]:
        """Return the spaces of an agent's actions and observations."""
        return self.env.action_space(agent), self.env.observation_space(agent)

    def state(self) -> Any:
        """Return the global state, or None if the environment has none."""
        if not callable(getattr(self.env.unwrapped, "state", None)):
            return None  # some games have a variable of that name
        try:
            return self.env.state()
        except NotImplementedError:
            return None

    @abstractmethod
    def begin(self, seed: int) -> Moment:
        """Start an episode."""

    @abstractmethod
    def act(self, actions: dict[str, Any], living: frozenset[str]) -> Moment:
        """Take one step; `living` are the agents whose part goes on.

        Raises:
            InvalidResult: an agent disappears and nobody says that its part ended, or comes back.

        """


class Parallel(Team):
    """A `ParallelEnv` of PettingZoo."""

    def begin(self, seed: int) -> Moment:
        """Start an episode."""
        returned = self.env.reset(seed=seed)
        if not isinstance(returned, tuple) or len(returned) != 2:
            raise InvalidResult("no (observations, infos) from reset")
        observations, infos = returned
        here = frozenset(self.env.agents)
        _require(here, observation=observations)
        return Moment(observations, infos, acting=here)

    def act(self, actions: dict[str, Any], living: frozenset[str]) -> Moment:
        """Take one step by the actions of all agents that take part still."""
        returned = self.env.step(actions)
        if not isinstance(returned, tuple) or len(returned) != 5:
            raise InvalidResult(
                "no (observations, rewards, terminations, truncations, infos) from step, a dictionary each"
            )
        observations, rewards, terminations, truncations, infos = returned
        _require(
            living, observation=observations, reward=rewards, termination=terminations, truncation=truncations
        )
        ended = _ended(living, terminations, truncations)
        left = living - ended[0] - ended[1]
        _continuing(left, frozenset(self.env.agents) - ended[0] - ended[1])
        return Moment(observations, infos, rewards, *ended, acting=left)


class Turns(Team):
    """An `AECEnv` of PettingZoo: one agent acts in each step, and those whose part ended are removed."""

    def __init__(self, env: Any) -> None:
        """Take an environment."""
        super().__init__(env)
        self.turns = len(self.agents)

    def begin(self, seed: int) -> Moment:
        """Start an episode."""
        self.env.reset(seed=seed)
        return self._moment(frozenset(self.env.agents), {}, frozenset(), frozenset())

    def act(self, actions: dict[str, Any], living: frozenset[str]) -> Moment:
        """Take the action of the agent whose turn it is."""
        env = self.env
        env.step(actions[env.agent_selection])
        _require(living, reward=env.rewards, termination=env.terminations, truncation=env.truncations)
        rewards = {agent: env.rewards[agent] for agent in living}
        terminated, truncated = _ended(living, env.terminations, env.truncations)
        left = living - terminated - truncated
        _continuing(left, frozenset(env.agents) - terminated - truncated)
        for _ in range(_DEAD_STEPS * len(self.agents)):
            if not left or env.agent_selection in left:
                break
            env.step(None)
        else:
            raise InvalidResult(f"the turn to '{env.agent_selection}', whose part has ended, again and again")
        _continuing(left, frozenset(env.agents) - terminated - truncated)
        return self._moment(living, rewards, terminated, truncated)

    def _moment(self, shown: frozenset[str], rewards: Any, terminated: Any, truncated: Any) -> Moment:
        env, left = self.env, shown - terminated - truncated
        return Moment(
            {agent: env.observe(agent) for agent in shown},
            {agent: env.infos.get(agent, {}) for agent in shown},
            rewards, terminated, truncated, frozenset({env.agent_selection}) if left else frozenset(),
        )  # fmt: skip


class Listed(Team):
    """A `gymnasium.Env` whose spaces are tuples, and whose rewards are a list, with an entry per agent."""

    def __init__(self, env: Any) -> None:  # a Gymnasium environment has no names of agents
        """Take an environment.

        Raises:
            TypeError: its spaces are not tuples of the same length.

        """
        self.env = env
        counts = [len(getattr(space, "spaces", ())) for space in (env.action_space, env.observation_space)]
        if counts[0] != counts[1] or not counts[0] or isinstance(env.action_space.spaces, dict):
            raise TypeError(
                "it is an environment of one agent: those of several are PettingZoo's, or have tuples of "
                "action and observation spaces, an entry per agent"
            )
        self.agents = tuple(f"agent_{i}" for i in range(counts[0]))

    def spaces(self, agent: str) -> tuple[Any, Any]:
        """Return the spaces of an agent's actions and observations."""
        i = self.agents.index(agent)
        return self.env.action_space[i], self.env.observation_space[i]

    def begin(self, seed: int) -> Moment:
        """Start an episode."""
        observations, _ = self.env.reset(seed=seed)
        return Moment(self._named("observation", observations), {}, acting=frozenset(self.agents))

    def act(self, actions: dict[str, Any], living: frozenset[str]) -> Moment:
        """Take one step by the actions of all agents; the game ends for all of them at once."""
        del living
        observations, rewards, terminated, truncated, _ = self.env.step([actions[a] for a in self.agents])
        whole, nobody = frozenset(self.agents), frozenset[str]()
        return Moment(
            self._named("observation", observations), {}, self._named("reward", rewards),
            whole if terminated else nobody, whole if truncated and not terminated else nobody,
            nobody if terminated or truncated else whole,
        )  # fmt: skip

    def _named(self, what: str, values: Any) -> dict[str, Any]:
        if len(values) != len(self.agents):
            raise InvalidResult(f"{len(values)} entries of {what} for {len(self.agents)} agents")
        return dict(zip(self.agents, values))


def team(env: Any) -> Team:
    """Return an environment by the interface that it has.

    Raises:
        TypeError: it has none of these interfaces, or has one agent.

    """
    import gymnasium

    if isinstance(env, gymnasium.Env):
        return Listed(env)
    import pettingzoo

    for kind, interface in ((pettingzoo.ParallelEnv, Parallel), (pettingzoo.AECEnv, Turns)):
        if isinstance(env, kind):
            return interface(env)
    raise TypeError(f"it is a {type(env).__name__}, neither a ParallelEnv nor an AECEnv of PettingZoo")


def _require(agents: frozenset[str], **given: Any) -> None:
    for what, by_agent in given.items():
        if missing := sorted(agents - {*by_agent}):
            raise InvalidResult(
                f"no {what} of agent '{missing[0]}', which is neither terminated nor truncated"
            )


def _continuing(left: frozenset[str], agents: frozenset[str]) -> None:
    if lost := sorted(left - agents):
        raise InvalidResult(f"`agents` without '{lost[0]}', which is neither terminated nor truncated")
    if new := sorted(agents - left):
        raise InvalidResult(f"`agents` with '{new[0]}', which took no part before; agents cannot join a game")


def _ended(
    living: frozenset[str], terminations: Any, truncations: Any
) -> tuple[frozenset[str], frozenset[str]]:
    terminated = frozenset(agent for agent in living if terminations[agent])
    return terminated, frozenset(agent for agent in living if truncations[agent]) - terminated
