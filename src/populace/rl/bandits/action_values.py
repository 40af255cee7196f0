"""Action values: estimates of the means, and rules that choose by them.

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
    """What is known of each arm: its estimated value, and how often it was pulled, both (K,)."""

    values: jax.Array
    counts: jax.Array


class ActionValues(Rule):
    r"""Estimates the value of each arm and chooses by an exploration rule.

        n_a <- n_a + 1
        Q_a <- Q_a + (1 / n_a) (r - Q_a)             step_size = 0: the average of all rewards
        Q_a <- Q_a + step_size (r - Q_a)             otherwise: recent rewards count more

    The first is right where the means stay, the second where they move. An `initial_value` above every
    mean makes all arms worth trying ("optimistic start"): under a constant step size it fades, in an
    average the first reward replaces it.
    """

    step_size: float = setting(0.0, low=0, high=1, help="share of the error learned; 0 averages, 1/n")
    initial_value: float = setting(0.0, help="estimate of an arm before its first pull")

    @property
    @abstractmethod
    def policy(self) -> Exploration:
        """What turns estimates into a choice; every pull is a frame and an episode."""

    def check(self, arms: Arms) -> None:
        """Raise a `UsageError` if the settings of the policy do not fit each other."""
        super().check(arms)
        self.policy.check()

    def init(self, arms: int) -> Estimates:
        """Return the initial value for each arm, and no pulls."""
        return Estimates(jnp.full(arms, self.initial_value, jnp.float32), jnp.zeros(arms))

    def choose(self, key: jax.Array, state: Estimates, pulls: jax.Array) -> jax.Array:
        """Draw an arm from the policy."""
        return self.policy.choose(key, state.values, state.counts, pulls, pulls)

    def learn(self, state: Estimates, pulled: jax.Array, reward: jax.Array) -> Estimates:
        """Move the estimate of the arm that was pulled toward the reward."""
        counts = state.counts + pulled
        rate = jnp.where(self.step_size > 0, self.step_size, 1 / jnp.maximum(counts, 1))
        return Estimates(state.values + rate * pulled * (reward - state.values), counts)
