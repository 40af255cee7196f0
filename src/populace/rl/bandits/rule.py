"""Rule: how a bandit learner chooses the next arm and what it learns from a reward."""

from abc import abstractmethod
from typing import Any

import jax

from populace.core.settings import Settings
from populace.rl.bandits.arms import Arms


class Rule(Settings):
    """A rule for one learner; it never sees the means.

    Its state is a pytree of arrays. Arms are passed back as `pulled`, a one-hot vector (K,).
    """

    def check(self, arms: Arms) -> None:
        """Raise a `UsageError` if the rule does not suit these arms."""

    @abstractmethod
    def init(self, arms: int) -> Any:
        """Return the state before the first pull of so many arms."""

    @abstractmethod
    def choose(self, key: jax.Array, state: Any, pulls: jax.Array) -> jax.Array:
        """Return the arm to pull next, int32, after so many pulls."""

    @abstractmethod
    def learn(self, state: Any, pulled: jax.Array, reward: jax.Array) -> Any:
        """Return the state after that arm gave that reward."""
