"""Change: what becomes of the means of the arms from one pull to the next."""

from abc import abstractmethod
from typing import ClassVar

import jax

from populace.core.settings import Settings, setting


class Change(Settings):
    """A rule by which the means move, whatever is pulled."""

    moves: ClassVar[bool] = True

    @abstractmethod
    def moved(self, key: jax.Array, means: jax.Array) -> jax.Array:
        """Return the means (K,) one pull later."""


class Stationary(Change):
    """The means stay as they are."""

    kind: ClassVar[str] = "stationary"
    moves: ClassVar[bool] = False

    def moved(self, key: jax.Array, means: jax.Array) -> jax.Array:
        """Return the same means."""
        del key
        return means


class RandomWalk(Change):
    """Each mean takes a step of its own per pull: `mu <- mu + deviation * z`, z standard normal.

    Sutton & Barto 2018, exercise 2.5. Means that have bounds, as those of Bernoulli arms do, are
    reflected there.
    """

    kind: ClassVar[str] = "random-walk"

    deviation: float = setting(0.01, low=0, help="standard deviation of a mean's step per pull")

    def moved(self, key: jax.Array, means: jax.Array) -> jax.Array:
        """Return the means after one step of the walk."""
        return means + self.deviation * jax.random.normal(key, means.shape)
