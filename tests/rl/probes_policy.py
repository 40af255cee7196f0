"""Probe environments for policies: continuous actions, values that come later, three problems in one."""

from typing import Any

import gymnax
import jax
import jax.numpy as jnp
from flax import struct
from gymnax.environments import spaces

from tests.rl import probes

LOW, HIGH = -1.0, 3.0
BEST = 0.5


class Continuous:
    """One action in [-1, 3]: not symmetric, and not of length 2."""

    def action_space(self, params=None):
        return spaces.Box(LOW, HIGH, (1,), jnp.float32)


class Chosen(Continuous, probes.Probe):
    """One step, reward `-(a - 0.5)^2`: the best action is 0.5, whatever is seen."""

    def reward(self, state, action):
        return -((jnp.squeeze(action) - BEST) ** 2)


class Matching(Continuous, probes.Probe):
    """One step, reward `-(a - 1 - sign)^2`: the best action is 2 where the sign is 1, 0 where it is -1."""

    def reward(self, state, action):
        return -((jnp.squeeze(action) - 1 - state.sign) ** 2)


class Beyond(Continuous, probes.Probe):
    """One step, reward is the action: the best one is the upper bound, and more cannot be had."""

    def reward(self, state, action):
        return jnp.squeeze(action)


class Constant(Continuous, probes.Constant):
    """One step, reward 1: V = 1."""


class Delayed(Continuous, probes.Delayed):
    """Two steps, reward 1 on the second: V = discount, then 1."""


class Seen(Continuous, probes.Seen):
    """One step, reward is the sign that is seen: V = sign."""


class Later(probes.Probe):
    """Two steps, the reward on the second is the sign: V = discount sign, then sign."""

    length = 2

    def reward(self, state, action):
        return jnp.where(state.time == 1, state.sign, 0.0)


class LaterContinuous(Continuous, Later):
    """The same, with a continuous action."""


class Endless(Continuous, probes.Endless):
    """Reward 1 for ever, cut by the clock every 3 steps: V = 1 / (1 - discount), not 1.75 or less."""


@struct.dataclass
class Drawn(probes.State):
    """Which of the three an episode is."""

    part: jax.Array


class All(probes.Probe):
    """`Later`, `Endless` and `Matching` in one: each episode is one of them, and is told which.

    One compiled program proves what three would. Observation: (sign, time, is it Endless, is it Matching).
    """

    horizon = 3
    matching: type[probes.Probe] = probes.Matching

    def reset_env(self, key, params):
        sign_key, part_key = jax.random.split(key)
        sign = jnp.where(jax.random.bernoulli(sign_key), 1.0, -1.0)
        state = Drawn(sign=sign, time=0, part=jax.random.randint(part_key, (), 0, 3))
        return self.get_obs(state), state

    def step_env(self, key, state, action, params):
        matched: Any = self.matching.reward(self, state, action)
        rewards = [Later.reward(self, state, action), self.endless(matched), matched]
        reward = jnp.float32(jnp.stack(rewards)[state.part])
        state = Drawn(sign=state.sign, time=state.time + 1, part=state.part)
        return self.get_obs(state), state, reward, self.is_terminated(state, params), {}

    def endless(self, matched: Any) -> Any:
        """Return the reward of every step of `Endless`, given that of `Matching`."""
        return 1.0

    def get_obs(self, state, params=None, key=None):
        endless, matching = state.part == 1, state.part == 2
        return jnp.array([state.sign, jnp.where(endless, 0, state.time), endless, matching], jnp.float32)

    def is_terminated(self, state, params):
        length = jnp.array([2, 100, 1])[state.part]  # Endless is cut by the clock
        return state.time >= length

    def observation_space(self, params):
        return spaces.Box(-2.0, 10.0, (4,), jnp.float32)


class AllContinuous(Continuous, All):
    """The same, with a continuous action."""

    matching = Matching


for name, probe in {
    "All": All, "AllContinuous": AllContinuous,
    "Later": Later, "LaterContinuous": LaterContinuous,
    "ChosenContinuous": Chosen, "MatchingContinuous": Matching,
    "BeyondContinuous": Beyond, "ConstantContinuous": Constant, "DelayedContinuous": Delayed,
    "SeenContinuous": Seen, "EndlessContinuous": Endless,
}.items():  # fmt: skip
    if f"Probe{name}-test" not in gymnax.registered_envs:
        gymnax.register(f"Probe{name}-test", probe)
