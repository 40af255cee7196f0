"""Exploration: how often an epsilon-greedy agent acts at random, as training goes on.

With probability epsilon an action is drawn evenly from all, otherwise it is the greedy one
(Sutton & Barto 2018, section 2.2).
"""

from abc import abstractmethod
from typing import ClassVar

import jax
import jax.numpy as jnp

from populace.settings import Settings, setting


class Exploration(Settings):
    """A schedule of epsilon."""

    @abstractmethod
    def epsilon(self, frames: jax.Array, episodes: jax.Array) -> jax.Array:
        """Return epsilon in [0, 1] after so many frames and finished episodes."""


class LinearDecay(Exploration):
    """`epsilon = start + (end - start) * min(frames / duration, 1)`."""

    kind: ClassVar[str] = "linear"

    start: float = setting(1.0, low=0, high=1, help="epsilon at the first frame")
    end: float = setting(0.05, low=0, high=1, help="epsilon from `duration` on")
    duration: float = setting(10_000.0, above=0, help="frames until `end` is reached")

    def epsilon(self, frames: jax.Array, episodes: jax.Array) -> jax.Array:
        """Return epsilon after so many frames."""
        del episodes
        progress = jnp.minimum(frames / self.duration, 1.0)
        return self.start + (self.end - self.start) * progress


class ExponentialDecay(Exploration):
    """`epsilon = max(end, start * decay ** k)`, where k counts finished episodes or frames."""

    kind: ClassVar[str] = "exponential"

    start: float = setting(1.0, low=0, high=1, help="epsilon before the first decay")
    end: float = setting(0.02, low=0, high=1, help="epsilon never falls below this")
    decay: float = setting(0.99, above=0, high=1, help="factor per episode or per frame")
    per: str = setting("episode", choices=("episode", "frame"), help="what one decay goes with")

    def epsilon(self, frames: jax.Array, episodes: jax.Array) -> jax.Array:
        """Return epsilon after so many frames and finished episodes."""
        k = episodes if self.per == "episode" else frames
        return jnp.maximum(self.end, self.start * self.decay ** k.astype(jnp.float32))
