"""The interface of bandit rules: how a rule chooses the next arm, and what it learns from a reward."""

from abc import abstractmethod
from typing import Any

import jax

from populace.core.settings import Settings
from populace.rl.bandits.arms import Arms


class Rule(Settings):
    """A rule that chooses arms without knowing their means.

    Its state is a pytree of arrays. `learn` gets the pulled arm as a one-hot vector (K,).
    """

    def check(self, arms: Arms) -> None:
        """Raise a `UsageError` if the rule does not suit these arms."""

    @abstractmethod
    def init(self, arms: int) -> Any:
        """Return the initial state for this number of arms."""

    @abstractmethod
    def choose(self, key: jax.Array, state: Any, pulls: jax.Array) -> jax.Array:
        """Return the next arm to pull, int32, after this number of pulls."""

    @abstractmethod
    def learn(self, state: Any, pulled: jax.Array, reward: jax.Array) -> Any:
        """Return the state after this arm gave this reward."""
