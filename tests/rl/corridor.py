"""A corridor of Gymnasium's kind that writes out its own table of outcomes."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Corridor(gymnasium.Env):
    """Four cells, the goal at the right end; a step right succeeds with probability 0.8, and costs 1."""

    def __init__(self) -> None:
        self.observation_space = spaces.Discrete(4)
        self.action_space = spaces.Discrete(2)
        self.initial_state_distrib = [1.0, 0.0, 0.0, 0.0]
        self.P = {s: {a: self._follows(s, a) for a in range(2)} for s in range(4)}

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[int, dict]:
        super().reset(seed=seed)
        self.s = 0
        return self.s, {}

    def step(self, action: Any) -> tuple[int, float, bool, bool, dict]:
        outcomes = self.P[self.s][int(action)]
        which = self.np_random.choice(len(outcomes), p=[p for p, *_ in outcomes])
        _, self.s, reward, terminated = outcomes[which]
        return self.s, reward, terminated, False, {}

    @staticmethod
    def _follows(s: int, a: int) -> list[tuple[float, int, float, bool]]:
        if s == 3:
            return [(1.0, 3, 0.0, True)]
        if a == 0:
            return [(1.0, max(s - 1, 0), -1.0, False)]
        return [(0.8, s + 1, -1.0, s == 2), (0.2, s, -1.0, False)]


class Cheaper(gymnasium.Wrapper):
    """The corridor at half the cost, which its table does not tell."""

    def __init__(self) -> None:
        super().__init__(Corridor())

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        observation, reward, *rest = super().step(action)
        return observation, float(reward) / 2, *rest


class Other(Corridor):
    """Steps differ from the table: another chance to succeed, another start, or a table drawn anew."""

    def __init__(self, success: float = 0.8, begins: int = 0, drawn: bool = False) -> None:
        super().__init__()
        self.success, self.begins = success, begins
        if drawn:
            self.P[0][0] = [(1.0, 0, -np.random.default_rng().random(), False)]

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[int, dict]:
        super().reset(seed=seed)
        self.s = self.begins
        return self.s, {}

    def step(self, action: Any) -> tuple[int, float, bool, bool, dict]:
        told = self.P[self.s][int(action)]
        if len(told) == 1:
            return super().step(action)
        _, self.s, reward, terminated = told[int(self.np_random.random() >= self.success)]
        return self.s, reward, terminated, False, {}
