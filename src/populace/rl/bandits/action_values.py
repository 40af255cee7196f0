"""Rules that estimate the value of each arm, and choose by an exploration strategy.

Sutton & Barto 2018, sections 2.2 to 2.6.
"""

from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.settings import setting
from populace.rl.bandits.arms import Arms
from populace.rl.bandits.rule import Rule
from populace.rl.exploration.strategies import Exploration


class Estimates(eqx.Module):
    """The estimated value of each arm, and the number of its pulls, both (K,)."""

    values: jax.Array
    counts: jax.Array


class ActionValues(Rule):
    r"""Estimates the value of each arm, and chooses by an exploration strategy.

        n_a <- n_a + 1
        Q_a <- Q_a + (1 / n_a) (r - Q_a)             step_size = 0: the sample average
        Q_a <- Q_a + step_size (r - Q_a)             otherwise: an exponential recency-weighted average

    Sample averages suit stationary means, a constant step size suits means that change. With an
    `initial_value` above every mean ("optimistic initial values") all arms are tried: with a constant step
    size the initial value decays, in a sample average the first reward replaces it.
    """

    step_size: float = setting(0.0, low=0, high=1, help="step size; 0: sample average, 1/n")
    initial_value: float = setting(0.0, help="initial estimate of every arm")

    @property
    @abstractmethod
    def policy(self) -> Exploration:
        """The exploration strategy, for which every pull is a frame and an episode."""

    def check(self, arms: Arms) -> None:
        """Raise a `UsageError` if the settings of the policy do not fit together."""
        super().check(arms)
        self.policy.check()

    def init(self, arms: int) -> Estimates:
        """Return initial estimates, with 0 pulls."""
        return Estimates(jnp.full(arms, self.initial_value, jnp.float32), jnp.zeros(arms))

    def choose(self, key: jax.Array, state: Estimates, pulls: jax.Array) -> jax.Array:
        """Sample an arm from the policy."""
        return self.policy.choose(key, state.values, state.counts, pulls, pulls)

    def learn(self, state: Estimates, pulled: jax.Array, reward: jax.Array) -> Estimates:
        """Move the estimate of the pulled arm toward the reward."""
        counts = state.counts + pulled
        rate = jnp.where(self.step_size > 0, self.step_size, 1 / jnp.maximum(counts, 1))
        return Estimates(state.values + rate * pulled * (reward - state.values), counts)
