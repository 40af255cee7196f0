"""Probe environments for policies: the value probes with a continuous action, two with a best one."""

import gymnax
import jax.numpy as jnp
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


for name, probe in {
    "Later": Later, "LaterContinuous": LaterContinuous,
    "ChosenContinuous": Chosen, "MatchingContinuous": Matching,
    "BeyondContinuous": Beyond, "ConstantContinuous": Constant, "DelayedContinuous": Delayed,
    "SeenContinuous": Seen, "EndlessContinuous": Endless,
}.items():  # fmt: skip
    if f"Probe{name}-test" not in gymnax.registered_envs:
        gymnax.register(f"Probe{name}-test", probe)
