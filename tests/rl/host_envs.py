"""Small environments of Gymnasium's kind, each with one peculiarity."""

import math
import os
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Counting(gymnasium.Env):
    """Shows its count, a draw of its generator and the last action; ends after `length` steps."""

    def __init__(self, length: int = 5, trace: str = "", at: int = 3, what: str = "") -> None:
        self.observation_space = spaces.Box(-np.inf, np.inf, (3,), np.float32)
        self.action_space = spaces.Discrete(3)
        self.length, self.trace, self.at, self.what = length, trace, at, what

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.t = 0
        return self._seen(0), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.t += 1
        if self.what and self.t == self.at and self.due():
            return self.fault(action)
        return self._seen(action), float(action), self.t >= self.length, False, {}

    def due(self) -> bool:
        """Whether it is time for the fault: always, or once for each file in the folder `trace`.

        A file may name the fault, behind a dash.
        """
        if not self.trace:
            return True
        for file in sorted(Path(self.trace).iterdir()):
            try:
                file.unlink()
            except FileNotFoundError:  # another process was quicker
                continue
            self.what = file.name.partition("-")[2] or self.what
            return True
        return False

    def fault(self, action: Any) -> Any:
        if self.what == "raise":
            raise ZeroDivisionError("the wheel came off")
        if self.what == "die":
            os._exit(3)
        if self.what == "hang":
            time.sleep(1000)
        if self.what == "slow":
            time.sleep(0.5)
        reward: Any = math.nan if self.what == "nan-reward" else 1.0
        observation = self._seen(action)
        if self.what == "nan-observation":
            observation[1] = math.nan
        if self.what == "short-observation":
            observation = observation[:1]
        if self.what == "reward-array":
            reward = np.ones(1)
        return observation, reward, False, False, {}

    def _seen(self, action: Any) -> np.ndarray:
        return np.array([self.t, self.np_random.random(), action], np.float32)


class Drifting(Counting):
    """Draws from a generator that no seed reaches."""

    def _seen(self, action: Any) -> np.ndarray:
        return np.array([self.t, np.random.default_rng().random(), action], np.float32)


class Steering(gymnasium.Env):
    """Continuous actions in a box that is not symmetric; shows what arrived."""

    def __init__(self) -> None:
        self.observation_space = spaces.Box(-10, 10, (2,), np.float64)
        self.action_space = spaces.Box(np.array([-1, 0], np.float32), np.array([1, 3], np.float32))

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        return np.zeros(2), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        return np.asarray(action, np.float64), float(np.sum(action)), False, False, {}


class Rooms(gymnasium.Env):
    """Discrete observations and actions that do not count from 0."""

    def __init__(self) -> None:
        self.observation_space, self.action_space = spaces.Discrete(4, start=10), spaces.Discrete(2, start=-1)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[int, dict]:
        super().reset(seed=seed)
        self.at = 10 + int(self.np_random.integers(4))
        return self.at, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict]:
        assert action in (-1, 0)
        self.at = 10 + (self.at - 10 + 1 + action) % 4
        return self.at, float(action), False, False, {}


class Dictionary(Counting):
    """Observations that are no array."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = spaces.Dict({"a": spaces.Discrete(2)})

    def _seen(self, action: Any) -> Any:
        return {"a": 1}


class Several(Counting):
    """Actions that are several numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.action_space = spaces.MultiDiscrete([2, 3])

    def _seen(self, action: Any) -> Any:
        return np.zeros(3, np.float32)

    def step(self, action: Any) -> Any:
        return self._seen(action), 0.0, False, False, {}


class Misshapen(Counting):
    """Observations of another shape than it says."""

    def _seen(self, action: Any) -> Any:
        return np.zeros(4, np.float32)


class Onward(gymnasium.Wrapper):
    """Goes on after the time limit of the environment inside, which is 200 steps."""

    def __init__(self) -> None:
        super().__init__(gymnasium.make("MountainCar-v0"))

    def step(self, action: Any) -> Any:
        observation, reward, terminated, _, info = self.env.step(action)
        return observation, reward, terminated, False, info


class Talking(Counting):
    """Prints."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        print("good morning", flush=True)
        return super().reset(seed=seed)


class Wanting(Counting):
    """Needs what nobody has."""

    def __init__(self) -> None:
        raise gymnasium.error.DependencyNotInstalled('Box3D is missing, `pip install "gymnasium[box3d]"`')


class Fragile(Counting):
    """Cannot be made any more once a file is there."""

    def __init__(self, file: str) -> None:
        super().__init__()
        if Path(file).exists():
            raise OSError("the license has run out")


class Refusing(Counting):
    """Cannot be reset with an even seed."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        if seed is not None and seed % 2 == 0:
            raise ValueError("even")
        return super().reset(seed=seed)


class NoEnvironment:
    """Something else."""
