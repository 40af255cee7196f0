"""The arms of a bandit: K reward distributions whose means the rule does not know."""

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
    """K arms, whose means are given, or sampled for each member from its seed.

    Pulling arm a gives a reward with mean `mu_a`; the rewards of all pulls are independent.
    """

    binary: ClassVar[bool] = False
    """Whether every reward is 0 or 1."""

    means: tuple[float, ...] = setting((), help="mean of each arm; empty: sampled for each member")
    count: int = setting(10, low=1, help="number of arms if their means are sampled")
    change: Change = setting(Stationary(), help="how the means change over time")

    @property
    def size(self) -> int:
        """K, the number of arms."""
        return len(self.means) or self.count

    def check(self) -> None:
        """Raise a `UsageError` for settings that do not fit together."""
        if not all(map(math.isfinite, self.means)):
            raise UsageError(f"arms.means must be finite, got {list(self.means)}")

    def init(self, key: jax.Array) -> jax.Array:
        """Return the means (K,) before the first pull."""
        return jnp.asarray(self.means, jnp.float32) if self.means else self.draw(key)

    def next_means(self, key: jax.Array, means: jax.Array) -> jax.Array:
        """Return the means (K,) after the next pull."""
        return self.change.next_means(key, means)

    @abstractmethod
    def draw(self, key: jax.Array) -> jax.Array:
        """Sample means (count,)."""

    @abstractmethod
    def pull(self, key: jax.Array, mean: jax.Array) -> jax.Array:
        """Sample a reward of an arm with this mean, float32."""

    @abstractmethod
    def lai_robbins_constant(self, means: ArrayLike) -> float:
        """Return the factor C of the lower bound `C log t` of Lai and Robbins for arms with these means.

        Raises:
            UsageError: all arms have the same mean, so that the regret is 0.

        """


class Bernoulli(Arms):
    """Reward 1 with probability `mu_a`, otherwise 0."""

    kind: ClassVar[str] = "bernoulli"
    binary: ClassVar[bool] = True

    low: float = setting(0.0, low=0, high=1, help="lower bound of sampled means")
    high: float = setting(1.0, low=0, high=1, help="upper bound of sampled means")

    def check(self) -> None:
        """Raise a `UsageError` for means that are not probabilities."""
        super().check()
        for arm, mean in enumerate(self.means):
            if not 0 <= mean <= 1:
                raise UsageError(
                    "arms.means of Bernoulli arms must be probabilities in [0, 1], "
                    f"got {mean:g} for arm {arm}"
                )
        if self.low > self.high:
            raise UsageError(
                f"arms.low must be at most arms.high, got low {self.low:g} and high {self.high:g}"
            )

    def draw(self, key: jax.Array) -> jax.Array:
        """Sample means uniformly from [low, high]."""
        return self.low + (self.high - self.low) * jax.random.uniform(key, (self.count,))

    def next_means(self, key: jax.Array, means: jax.Array) -> jax.Array:
        """Return the means (K,) after the next pull, reflected at 0 and 1."""
        return jnp.abs((self.change.next_means(key, means) + 1) % 2 - 1)

    def pull(self, key: jax.Array, mean: jax.Array) -> jax.Array:
        """Return 1 with probability `mean`, otherwise 0."""
        return (jax.random.uniform(key) < mean).astype(jnp.float32)

    def lai_robbins_constant(self, means: ArrayLike) -> float:
        """Return the factor C of the lower bound `C log t` of Lai and Robbins."""
        return lai_robbins(means)


class Gaussian(Arms):
    """Reward `mu_a + noise * z`, z standard normal; by default the 10-armed testbed.

    Sutton & Barto 2018, section 2.3.
    """

    kind: ClassVar[str] = "gaussian"

    noise: float = setting(1.0, above=0, help="standard deviation of a reward")
    center: float = setting(0.0, help="mean of the sampled means")
    spread: float = setting(1.0, low=0, help="standard deviation of the sampled means")

    def draw(self, key: jax.Array) -> jax.Array:
        """Sample means from a normal distribution."""
        return self.center + self.spread * jax.random.normal(key, (self.count,))

    def pull(self, key: jax.Array, mean: jax.Array) -> jax.Array:
        """Return the mean plus noise."""
        return mean + self.noise * jax.random.normal(key)

    def lai_robbins_constant(self, means: ArrayLike) -> float:
        """Return the factor C of the lower bound `C log t` of Lai and Robbins."""
        return lai_robbins(means, noise=float(self.noise))
