"""Small environments of PettingZoo's kind, each with one peculiarity."""

import os
from typing import Any, ClassVar

import numpy as np
import pettingzoo
from gymnasium import spaces

WIDE, NARROW = "wide_0", "narrow_0"


class Pair(pettingzoo.ParallelEnv[str, Any, Any]):
    """Two agents of different spaces; the second dies in step 3, and the first sees and masks the time.

    With `what='retire'` the clock takes it out instead. The first may not take the action of the step before,
    as its `info` says. Rewards are the actions.
    """

    metadata: ClassVar[Any] = {"name": "pair_v0"}
    possible_agents: Any = (WIDE, NARROW)

    def __init__(
        self, length: int = 6, late: bool = False, what: str = "", at: int = 2, trace: str = ""
    ) -> None:
        self.length, self.late, self.what, self.at, self.trace = length, late, what, at, trace
        self.max_cycles = 10
        if what == "no-limit":
            self.max_cycles = None

    def action_space(self, agent: str) -> Any:
        if self.what == "continuous":
            return spaces.Box(-1, 1, (2,))
        return spaces.Discrete(3, start=5) if agent == WIDE else spaces.Discrete(2)

    def observation_space(self, agent: str) -> Any:
        if self.what == "dictionary":
            return spaces.Dict({"a": spaces.Discrete(2)})
        return spaces.Box(-1, 99, (2, 2)) if agent == WIDE else spaces.Discrete(3, start=1)

    def _seen(self, agents: list[str]) -> dict[str, Any]:
        wide = np.array([[self.t, self.noise], [self.last, 0]], np.float32)
        return {a: wide if a == WIDE else 1 + self.t % 3 for a in agents}

    def _infos(self, agents: list[str]) -> dict[str, Any]:
        free = np.array([self.last != a for a in (5, 6, 7)], np.int8)
        if self.what == "mask" and self.t >= self.at:
            free[:] = 0
        if self.what == "mask-shape":
            free = free[:2]
        return {a: {"action_mask": free} if a == WIDE else {} for a in agents}

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.agents, self.t, self.last = [WIDE, NARROW], 0, 0
        self.noise = np.random.default_rng(seed).random()
        return self._seen(self.agents), self._infos(self.agents)

    def step(self, actions: dict[str, Any]) -> Any:
        assert set(actions) == set(self.agents)
        assert actions[WIDE] in (5, 6, 7)
        assert actions[WIDE] != self.last
        self.t, self.last, were = self.t + 1, actions[WIDE], self.agents
        over = self.t >= self.length
        out, clock = self.t == 3, self.what == "retire"
        terminated = {a: (over and not self.late) or (a == NARROW and out and not clock) for a in were}
        truncated = {a: (over and self.late) or (a == NARROW and out and clock) for a in were}
        self.agents = [a for a in were if not (terminated[a] or truncated[a])]
        if self.t == self.at:
            if self.what == "die" and (not self.trace or os.path.exists(self.trace)):
                os._exit(3)
            if self.what == "lose":
                self.agents = [WIDE]
            if self.what == "lose-observation":
                return self._seen([WIDE]), dict.fromkeys(were, 0.0), terminated, truncated, {}
            if self.what == "four":
                return self._seen(were), {}, terminated, truncated
        if self.what == "rejoin" and self.t == 5:
            self.agents = [WIDE, NARROW]
        rewards = {a: float(actions[a]) for a in were}
        return self._seen(were), rewards, terminated, truncated, self._infos(were)


def pair(**arguments: Any) -> Pair:
    """A function that makes one."""
    return Pair(**arguments)


Mapping = dict


class NoNames(Pair):
    """Does not say which agents there may be."""

    possible_agents: Any = None


class Waiting(pettingzoo.AECEnv[str, Any, Any]):
    """Three agents in turns; the second is out after its second turn, all after `length` turns."""

    metadata: ClassVar[Any] = {"name": "waiting_v0"}
    possible_agents: Any = ("a", "b", "c")

    def __init__(self, length: int = 9, what: str = "") -> None:
        super().__init__()
        self.length, self.what = length, what
        self.state = {"of": "another kind"}

    def action_space(self, agent: str) -> Any:
        return spaces.Discrete(2)

    def observation_space(self, agent: str) -> Any:
        return spaces.MultiDiscrete([2, 20])

    def observe(self, agent: str) -> Any:
        return np.array([agent == self.agent_selection, self.t])

    def reset(self, seed: int | None = None, options: Any = None) -> None:
        self.agents, self.t = list(self.possible_agents), 0
        self.rewards, self._cumulative_rewards = (dict.fromkeys(self.agents, 0.0) for _ in range(2))
        self.terminations, self.truncations = (dict.fromkeys(self.agents, False) for _ in range(2))
        self.infos = {a: {} for a in self.agents}
        self.turn = 0
        self.agent_selection = "a"

    def step(self, action: Any) -> None:
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            assert action is None
            self._was_dead_step(None)
            return
        self.t += 1
        self.rewards = {a: float(action) if a == agent else -1.0 for a in self.agents}
        if agent == "b" and self.t > 4:
            if self.what == "lose":
                self.agents = ["a", "c"]
            else:
                self.terminations["b"] = True
        if self.t >= self.length:
            self.truncations = {a: not self.terminations[a] for a in self.agents}
        following = self.possible_agents[(self.possible_agents.index(agent) + 1) % 3]
        self.agent_selection = following if following in self.agents else "c"
        self._deads_step_first()
