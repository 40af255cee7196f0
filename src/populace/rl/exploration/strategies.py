"""Exploration: how an agent turns the values of actions into the probabilities of taking them.

Sutton & Barto 2018, "Reinforcement Learning: An Introduction", sections 2.2, 2.7 and 13.1: often the best
action and sometimes any (epsilon-greedy, with a schedule of epsilon), better actions more often
(Boltzmann), or the action whose value could be the highest (UCB).
"""

from abc import abstractmethod
from typing import ClassVar

import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.core.settings import Settings, setting


class Exploration(Settings):
    """A policy over the actions of one state, given what is known of their values.

    `counts_visits` is true where the policy also needs how often each action was taken in this state.
    """

    counts_visits: ClassVar[bool] = False

    def check(self) -> None:
        """Raise a `UsageError` for settings that are sound each but not together."""

    @abstractmethod
    def probabilities(
        self, values: jax.Array, counts: jax.Array | None, frames: jax.Array, episodes: jax.Array
    ) -> jax.Array:
        """Return pi(a | s), shape (A,), which sums to one.

        Args:
            values: action values Q(s, .), shape (A,), finite.
            counts: how often each action was taken in this state, shape (A,); read only where
                `counts_visits`, otherwise it may be None.
            frames: frames so far, a whole number.
            episodes: episodes finished so far, a whole number.

        """

    def choose(
        self,
        key: jax.Array,
        values: jax.Array,
        counts: jax.Array | None,
        frames: jax.Array,
        episodes: jax.Array,
    ) -> jax.Array:
        """Draw an action, int32, from `probabilities` (same arguments)."""
        return draw(key, self.probabilities(values, counts, frames, episodes))


def draw(key: jax.Array, probabilities: jax.Array) -> jax.Array:
    """Draw an index, int32, with the given probabilities (A,) by inverting their cumulative sum.

    An index of probability zero is never drawn.
    """
    cumulative = jnp.cumsum(probabilities)
    # Scaled by the last sum, not by 1: rounding must not leave a gap behind the last index.
    threshold = jax.random.uniform(key) * cumulative[-1]
    return jnp.sum(cumulative <= threshold, dtype=jnp.int32)


def greedy(values: jax.Array) -> jax.Array:
    """Return the greedy policy (A,): all probability on the highest value, shared evenly by ties."""
    best = (values == jnp.max(values)).astype(jnp.float32)
    return best / jnp.sum(best)


def _ordered(kind: str, lower: tuple[str, float], upper: tuple[str, float]) -> None:
    if lower[1] > upper[1]:
        raise UsageError(
            f"exploration '{kind}': {lower[0]} {lower[1]:g} is more than {upper[0]} {upper[1]:g}; "
            f"{lower[0]} must be at most {upper[0]}"
        )


def decayed(start: jax.Array | float, end: jax.Array | float, decay: jax.Array | float, k: jax.Array):
    """Return `max(end, start * decay ** k)` for a whole number k."""
    return jnp.maximum(end, start * decay ** k.astype(jnp.float32))


class EpsilonGreedy(Exploration):
    """With probability epsilon any action, drawn evenly from all A, otherwise the greedy one.

    `pi(a | s) = epsilon / A + (1 - epsilon) * [a is greedy] / (number of greedy actions)`. A kind of it is a
    schedule of epsilon.
    """

    @abstractmethod
    def epsilon(self, frames: jax.Array, episodes: jax.Array) -> jax.Array:
        """Return epsilon in [0, 1] after so many frames and finished episodes."""

    def probabilities(
        self, values: jax.Array, counts: jax.Array | None, frames: jax.Array, episodes: jax.Array
    ) -> jax.Array:
        """Return the epsilon-greedy policy (A,)."""
        del counts
        epsilon = self.epsilon(frames, episodes)
        return epsilon / values.shape[-1] + (1 - epsilon) * greedy(values)


class ConstantEpsilon(EpsilonGreedy):
    """`epsilon = value`; 0 is greedy, 1 is random."""

    kind: ClassVar[str] = "constant"

    value: float = setting(0.1, low=0, high=1, help="epsilon at all times")

    def epsilon(self, frames: jax.Array, episodes: jax.Array) -> jax.Array:
        """Return epsilon."""
        del episodes
        return jnp.broadcast_to(jnp.float32(self.value), jnp.shape(frames))


class LinearDecay(EpsilonGreedy):
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


class ExponentialDecay(EpsilonGreedy):
    """`epsilon = max(end, start * decay ** k)`, where k counts finished episodes or frames."""

    kind: ClassVar[str] = "exponential"

    start: float = setting(1.0, low=0, high=1, help="epsilon before the first decay")
    end: float = setting(0.02, low=0, high=1, help="epsilon never falls below this")
    decay: float = setting(0.99, above=0, high=1, help="factor per episode or per frame")
    per: str = setting("episode", choices=("episode", "frame"), help="what one decay goes with")

    def check(self) -> None:
        """Raise a `UsageError` if it would end above where it starts."""
        _ordered(self.kind, ("end", self.end), ("start", self.start))

    def epsilon(self, frames: jax.Array, episodes: jax.Array) -> jax.Array:
        """Return epsilon after so many frames and finished episodes."""
        return decayed(self.start, self.end, self.decay, episodes if self.per == "episode" else frames)


class Sinusoidal(EpsilonGreedy):
    """`epsilon = low + (high - low) * (1 + cos(2 pi k / period)) / 2`.

    k counts frames or finished episodes. It begins at `high`, is at `low` after half a period, and
    explores anew in every period: for environments that change.
    """

    kind: ClassVar[str] = "sinusoidal"

    low: float = setting(0.02, low=0, high=1, help="epsilon half a period after the beginning")
    high: float = setting(0.5, low=0, high=1, help="epsilon at the beginning of every period")
    period: float = setting(1_000.0, above=0, help="frames or episodes from crest to crest")
    per: str = setting("frame", choices=("episode", "frame"), help="what the period is counted in")

    def check(self) -> None:
        """Raise a `UsageError` if its low lies above its high."""
        _ordered(self.kind, ("low", self.low), ("high", self.high))

    def epsilon(self, frames: jax.Array, episodes: jax.Array) -> jax.Array:
        """Return epsilon after so many frames and finished episodes."""
        k = episodes if self.per == "episode" else frames
        phase = 2 * jnp.pi * ((k / self.period) % 1.0)
        return self.low + (self.high - self.low) * (1 + jnp.cos(phase)) / 2


class Boltzmann(Exploration):
    """`pi(a | s) = exp(Q(s, a) / T) / sum_b exp(Q(s, b) / T)` with `T = max(end, temperature * decay ** k)`.

    k counts finished episodes or frames. A high temperature is random, a low one greedy; what is high
    depends on the scale of the values.
    """

    kind: ClassVar[str] = "boltzmann"

    temperature: float = setting(1.0, above=0, help="temperature before the first decay, in units of value")
    decay: float = setting(1.0, above=0, high=1, help="factor per episode or per frame; 1 keeps it constant")
    end: float = setting(0.01, above=0, help="temperature never falls below this")
    per: str = setting("episode", choices=("episode", "frame"), help="what one decay goes with")

    def check(self) -> None:
        """Raise a `UsageError` if it would end above where it starts."""
        _ordered(self.kind, ("end", self.end), ("temperature", self.temperature))

    def probabilities(
        self, values: jax.Array, counts: jax.Array | None, frames: jax.Array, episodes: jax.Array
    ) -> jax.Array:
        """Return the softmax policy (A,)."""
        del counts
        k = episodes if self.per == "episode" else frames
        # The highest value is subtracted before the division, which could overflow at low temperatures.
        below = values - jnp.max(values)
        return jax.nn.softmax(below / decayed(self.temperature, self.end, self.decay, k))


class UCB(Exploration):
    """The action of the highest upper confidence bound, `argmax_a Q(s, a) + c * sqrt(log t / n_a)`.

    n_a counts how often a was taken in this state, and `t = sum_a n_a`. Actions never taken come first,
    drawn evenly; ties are drawn evenly.
    """

    kind: ClassVar[str] = "ucb"
    counts_visits: ClassVar[bool] = True

    confidence: float = setting(1.0, low=0, help="c, the width of the bound, in units of value")

    def probabilities(
        self, values: jax.Array, counts: jax.Array | None, frames: jax.Array, episodes: jax.Array
    ) -> jax.Array:
        """Return the policy (A,): 1 on one action but for ties."""
        del frames, episodes
        assert counts is not None, "UCB needs the visits of each action"
        untried = counts == 0
        visits = jnp.maximum(jnp.sum(counts), 1.0)
        bonus = self.confidence * jnp.sqrt(jnp.log(visits) / jnp.maximum(counts, 1.0))
        return jnp.where(jnp.any(untried), greedy(untried.astype(jnp.float32)), greedy(values + bonus))
