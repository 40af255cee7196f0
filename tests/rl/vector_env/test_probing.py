"""What a short playing tells of an environment before anybody trains in it."""

from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest

from populace.rl.vector_env.process.probing import probe


class Drift(gymnasium.Env):
    """Counts its steps; from step `since` on it adds what no seed decides."""

    action_space = gymnasium.spaces.Discrete(2)
    observation_space = gymnasium.spaces.Box(-10.0, 1000.0, (1,))
    made = 0

    def __init__(self, since: int) -> None:
        self.since, self.t = since, 0
        Drift.made += 1
        self.own = Drift.made

    def reset(self, *, seed=None, options=None):
        self.t = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.t += 1
        seen = self.t + (self.own if self.t >= self.since else 0)
        return np.full(1, seen, np.float32), 1.0, False, False, {}


@pytest.mark.parametrize(("since", "deterministic"), [(1, False), (16, False), (10**9, True)])
def test_two_episodes_are_compared_for_sixteen_steps(since, deterministic):
    env_info = probe(SimpleNamespace(make=lambda: Drift(since), max_episode_steps=7))
    assert env_info.deterministic is deterministic
    assert (env_info.max_episode_steps, env_info.nan) == (7, "")
    assert env_info.step_seconds > 0
