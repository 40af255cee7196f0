"""Gradient bandit: stochastic gradient ascent on the expected reward of a softmax policy."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.settings import setting
from populace.rl.bandits.rule import Rule
from populace.rl.exploration.strategies import draw


class Preferences(eqx.Module):
    """Preferences (K,), the average reward so far, and of how many rewards it is."""

    preferences: jax.Array
    average: jax.Array
    count: jax.Array


class GradientRule(Rule):
    r"""Learns a preference H_a for each arm.

        pi = softmax(H)
        H <- H + step_size (r - b) (onehot(a) - pi)

    The baseline b is the average of the rewards before r (of the first: r itself, so that nothing is
    learned from it), or 0 without. Either way the step is an unbiased sample of the gradient of the
    expected reward; with the baseline it varies less. Source: Sutton & Barto 2018, section 2.8.
    """

    kind: ClassVar[str] = "gradient"

    step_size: float = setting(0.1, above=0, help="step size of the ascent")
    baseline: bool = setting(True, help="compare a reward with the average of those before")

    def init(self, arms: int) -> Preferences:
        """Return no preference for any arm."""
        return Preferences(jnp.zeros(arms), jnp.float32(0), jnp.float32(0))

    def choose(self, key: jax.Array, state: Preferences, pulls: jax.Array) -> jax.Array:
        """Draw an arm from the softmax of the preferences."""
        del pulls
        return draw(key, jax.nn.softmax(state.preferences))

    def learn(self, state: Preferences, pulled: jax.Array, reward: jax.Array) -> Preferences:
        """Take one step up the sampled gradient."""
        policy = jax.nn.softmax(state.preferences)
        average = jnp.where(state.count > 0, state.average, reward)
        advantage = reward - average if self.baseline else reward
        preferences = state.preferences + self.step_size * advantage * (pulled - policy)
        count = state.count + 1
        return Preferences(preferences, average + (reward - average) / count, count)
