"""Arms: K distributions of reward, whose means the learner does not know."""

import math
from abc import abstractmethod
from typing import ClassVar

import jax
import jax.numpy as jnp
from numpy.typing import ArrayLike

from populace.core.errors import UsageError
from populace.core.settings import Settings, setting
from populace.rl.bandits.bound import lai_robbins
from populace.rl.bandits.change import Change, Stationary


class Arms(Settings):
    """K arms. Their means are given, or drawn anew for each member from its seed.

    Pulling arm a gives a reward of mean `mu_a`; the rewards of all pulls are independent.
    """

    binary: ClassVar[bool] = False
    """Whether every reward is 0 or 1."""

    means: tuple[float, ...] = setting((), help="mean of each arm; empty: drawn for each member")
    count: int = setting(10, low=1, help="arms, where their means are drawn")
    change: Change = setting(Stationary(), help="how the means move from pull to pull")

    @property
    def size(self) -> int:
        """K, the number of arms."""
        return len(self.means) or self.count

    def check(self) -> None:
        """Raise a `UsageError` for settings that do not fit each other."""
        if not all(map(math.isfinite, self.means)):
            raise UsageError(f"arms.means must be finite, got {list(self.means)}")

    def init(self, key: jax.Array) -> jax.Array:
        """Return the means (K,) before the first pull."""
        return jnp.asarray(self.means, jnp.float32) if self.means else self.draw(key)

    def moved(self, key: jax.Array, means: jax.Array) -> jax.Array:
        """Return the means (K,) one pull later."""
        return self.change.moved(key, means)

    @abstractmethod
    def draw(self, key: jax.Array) -> jax.Array:
        """Return drawn means (count,)."""

    @abstractmethod
    def pull(self, key: jax.Array, mean: jax.Array) -> jax.Array:
        """Return a reward of an arm of this mean, float32."""

    @abstractmethod
    def slope(self, means: ArrayLike) -> float:
        """Return the factor of log t in the lower bound of Lai and Robbins for arms of these means.

        Raises:
            UsageError: no arm is worse than the best, so there is nothing to lose.

        """


class Bernoulli(Arms):
    """Reward 1 with probability `mu_a`, otherwise 0."""

    kind: ClassVar[str] = "bernoulli"
    binary: ClassVar[bool] = True

    low: float = setting(0.0, low=0, high=1, help="lowest mean that may be drawn")
    high: float = setting(1.0, low=0, high=1, help="highest mean that may be drawn")

    def check(self) -> None:
        """Raise a `UsageError` for means that are no probabilities."""
        super().check()
        for arm, mean in enumerate(self.means):
            if not 0 <= mean <= 1:
                raise UsageError(
                    "arms.means of Bernoulli arms must be probabilities in [0, 1], "
                    f"got {mean:g} for arm {arm}"
                )
        if self.low > self.high:
            raise UsageError(f"arms.low {self.low:g} is above arms.high {self.high:g}")

    def draw(self, key: jax.Array) -> jax.Array:
        """Return means drawn evenly from [low, high]."""
        return self.low + (self.high - self.low) * jax.random.uniform(key, (self.count,))

    def moved(self, key: jax.Array, means: jax.Array) -> jax.Array:
        """Return the means one pull later, reflected at 0 and 1."""
        return jnp.abs((self.change.moved(key, means) + 1) % 2 - 1)

    def pull(self, key: jax.Array, mean: jax.Array) -> jax.Array:
        """Return 1 with probability `mean`, otherwise 0."""
        return (jax.random.uniform(key) < mean).astype(jnp.float32)

    def slope(self, means: ArrayLike) -> float:
        """Return the factor of log t in the lower bound of Lai and Robbins."""
        return lai_robbins(means)


class Gaussian(Arms):
    """Reward `mu_a + noise * z`, z standard normal: with its defaults the ten-armed testbed.

    Sutton & Barto 2018, section 2.3.
    """

    kind: ClassVar[str] = "gaussian"

    noise: float = setting(1.0, above=0, help="standard deviation of a reward around the mean of its arm")
    center: float = setting(0.0, help="mean of the means that are drawn")
    spread: float = setting(1.0, low=0, help="standard deviation of the means that are drawn")

    def draw(self, key: jax.Array) -> jax.Array:
        """Return means drawn from a normal distribution."""
        return self.center + self.spread * jax.random.normal(key, (self.count,))

    def pull(self, key: jax.Array, mean: jax.Array) -> jax.Array:
        """Return the mean with noise."""
        return mean + self.noise * jax.random.normal(key)

    def slope(self, means: ArrayLike) -> float:
        """Return the factor of log t in the lower bound of Lai and Robbins."""
        return lai_robbins(means, noise=float(self.noise))
