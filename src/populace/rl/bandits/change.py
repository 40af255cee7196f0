"""How the means of the arms change over time."""

from abc import abstractmethod
from typing import ClassVar

import jax

from populace.core.settings import Settings, setting


class Change(Settings):
    """A process that changes the means after each pull, whichever arm is pulled."""

    stationary: ClassVar[bool] = False

    @abstractmethod
    def next_means(self, key: jax.Array, means: jax.Array) -> jax.Array:
        """Return the means (K,) after the next pull."""


class Stationary(Change):
    """The means never change."""

    kind: ClassVar[str] = "stationary"
    stationary: ClassVar[bool] = True

    def next_means(self, key: jax.Array, means: jax.Array) -> jax.Array:
        """Return the same means."""
        del key
        return means


class RandomWalk(Change):
    """Each mean takes an independent step per pull: `mu <- mu + std * z`, z standard normal.

    Sutton & Barto 2018, exercise 2.5. The means of Bernoulli arms are reflected at 0 and 1.
    """

    kind: ClassVar[str] = "random-walk"

    std: float = setting(0.01, low=0, help="standard deviation of the step of a mean per pull")

    def next_means(self, key: jax.Array, means: jax.Array) -> jax.Array:
        """Return the means (K,) after one step of the walk."""
        return means + self.std * jax.random.normal(key, means.shape)
