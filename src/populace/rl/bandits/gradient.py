"""Gradient bandit: stochastic gradient ascent on the expected reward of a softmax policy."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.settings import setting
from populace.rl.bandits.rule import Rule
from populace.rl.exploration.strategies import draw


class Preferences(eqx.Module):
    """Preferences (K,), the average reward so far, and the number of rewards."""

    preferences: jax.Array
    average: jax.Array
    count: jax.Array


class GradientRule(Rule):
    r"""Learns a preference H_a of each arm by stochastic gradient ascent.

        pi = softmax(H)
        H <- H + step_size (r - b) (onehot(a) - pi)

    The baseline b is the average of the rewards before r (for the first reward, r itself, so that the first
    step is 0), or 0 without a baseline. In both cases the step is an unbiased estimate of the gradient of the
    expected reward; the baseline reduces its variance. Source: Sutton & Barto 2018, section 2.8.
    """

    kind: ClassVar[str] = "gradient"

    step_size: float = setting(0.1, above=0, help="step size")
    baseline: bool = setting(True, help="subtract the average of the earlier rewards")

    def init(self, arms: int) -> Preferences:
        """Return preferences of 0."""
        return Preferences(jnp.zeros(arms), jnp.float32(0), jnp.float32(0))

    def choose(self, key: jax.Array, state: Preferences, pulls: jax.Array) -> jax.Array:
        """Sample an arm from the softmax of the preferences."""
        del pulls
        return draw(key, jax.nn.softmax(state.preferences))

    def learn(self, state: Preferences, pulled: jax.Array, reward: jax.Array) -> Preferences:
        """Take one step of gradient ascent."""
        policy = jax.nn.softmax(state.preferences)
        average = jnp.where(state.count > 0, state.average, reward)
        advantage = reward - average if self.baseline else reward
        preferences = state.preferences + self.step_size * advantage * (pulled - policy)
        count = state.count + 1
        return Preferences(preferences, average + (reward - average) / count, count)
