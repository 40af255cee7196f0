"""Probe environments: problems so small that the right answer is known."""

from typing import Any

import gymnax
import jax
import jax.numpy as jnp
from flax import struct
from gymnax.environments import environment, spaces


@struct.dataclass
class State(environment.EnvState):
    sign: jax.Array
    time: int


@struct.dataclass
class Params(environment.EnvParams):
    max_steps_in_episode: int = 100


class Probe(environment.Environment):
    """Two actions, an observation of (sign, time); what differs is in the class attributes."""

    length = 1  # steps until the task ends; 0: it never ends by itself
    horizon = 100  # steps until the clock cuts the episode

    @property
    def default_params(self) -> Params:
        return Params(max_steps_in_episode=self.horizon)

    def reward(self, state: State, action: Any) -> Any:
        return 1.0

    def reset_env(self, key, params):
        sign = jnp.where(jax.random.bernoulli(key), 1.0, -1.0)
        state = State(sign=sign, time=0)
        return self.get_obs(state), state

    def step_env(self, key, state, action, params):
        reward = jnp.float32(self.reward(state, action))
        state = State(sign=state.sign, time=state.time + 1)
        return self.get_obs(state), state, reward, self.is_terminated(state, params), {}

    def get_obs(self, state, params=None, key=None) -> Any:
        at = state.time if self.length else 0
        return jnp.array([state.sign, at], jnp.float32)

    def is_terminated(self, state, params):
        return jnp.bool(self.length > 0) & (state.time >= self.length)

    @property
    def num_actions(self) -> int:
        return 2

    def action_space(self, params=None) -> Any:
        return spaces.Discrete(2)

    def observation_space(self, params):
        return spaces.Box(-2.0, 10.0, (2,), jnp.float32)


class Constant(Probe):
    """One step, reward 1: Q = 1."""


class Delayed(Probe):
    """Two steps, reward 1 on the second: Q = discount, then 1."""

    length = 2

    def reward(self, state, action):
        return jnp.where(state.time == 1, 1.0, 0.0)


class Seen(Probe):
    """One step, reward is the sign that is seen: Q = sign."""

    def reward(self, state, action):
        return state.sign


class Chosen(Probe):
    """One step, reward 1 for action 1 and -1 for action 0."""

    def reward(self, state, action):
        return jnp.where(action == 1, 1.0, -1.0)


class Matching(Probe):
    """One step, reward 1 for the action that the sign asks for, else -1."""

    def reward(self, state, action):
        return jnp.where((action == 1) == (state.sign > 0), 1.0, -1.0)


class Endless(Probe):
    """Reward 1 for ever, cut by the clock every 3 steps: Q = 1 / (1 - discount), not 1."""

    length, horizon = 0, 3


for probe in (Constant, Delayed, Seen, Chosen, Matching, Endless):
    name = f"Probe{probe.__name__}-test"
    if name not in gymnax.registered_envs:
        gymnax.register(name, probe)
