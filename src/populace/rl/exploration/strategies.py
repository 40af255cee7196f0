"""Exploration strategies: policies that are functions of the action values.

Epsilon-greedy with a schedule of epsilon, Boltzmann (softmax) and upper confidence bounds (UCB): Sutton &
Barto 2018, "Reinforcement Learning: An Introduction", sections 2.2, 2.7 and 13.1.
"""

from abc import abstractmethod
from typing import ClassVar

import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.core.settings import Settings, setting


class Exploration(Settings):
    """A policy over the actions of one state, as a function of their estimated values.

    `counts_visits` is true if the policy also needs the number of times each action was taken in this state.
    """

    counts_visits: ClassVar[bool] = False

    def check(self) -> None:
        """Raise a `UsageError` for settings that are each valid but do not fit together."""

    @abstractmethod
    def probabilities(
        self, values: jax.Array, counts: jax.Array | None, frames: jax.Array, episodes: jax.Array
    ) -> jax.Array:
        """Return pi(a | s), shape (A,), which sums to one.

        Args:
            values: action values Q(s, .), shape (A,), finite.
            counts: number of times each action was taken in this state, shape (A,); may be None unless
                `counts_visits` is true.
            frames: number of frames so far, an integer scalar.
            episodes: number of episodes that have ended, an integer scalar.

        """

    def choose(
        self,
        key: jax.Array,
        values: jax.Array,
        counts: jax.Array | None,
        frames: jax.Array,
        episodes: jax.Array,
    ) -> jax.Array:
        """Sample an action, int32, from `probabilities` (same arguments)."""
        return draw(key, self.probabilities(values, counts, frames, episodes))


def draw(key: jax.Array, probabilities: jax.Array) -> jax.Array:
    """Sample an index, int32, from probabilities (A,) by inverting their cumulative sum.

    An index with probability 0 is never sampled.
    """
    cumulative = jnp.cumsum(probabilities)
    # Scaled by the last sum instead of 1, so that rounding leaves no gap after the last index.
    threshold = jax.random.uniform(key) * cumulative[-1]
    return jnp.sum(cumulative <= threshold, dtype=jnp.int32)


def greedy(values: jax.Array) -> jax.Array:
    """Return the greedy policy (A,): uniform over the actions with the highest value."""
    best = (values == jnp.max(values)).astype(jnp.float32)
    return best / jnp.sum(best)


def _ordered(kind: str, lower: tuple[str, float], upper: tuple[str, float]) -> None:
    if lower[1] > upper[1]:
        raise UsageError(
            f"exploration '{kind}': {lower[0]} must be at most {upper[0]}, got {lower[0]} {lower[1]:g} and "
            f"{upper[0]} {upper[1]:g}"
        )


def decayed(start: jax.Array | float, end: jax.Array | float, decay: jax.Array | float, k: jax.Array):
    """Return `max(end, start * decay ** k)` for an integer k."""
    return jnp.maximum(end, start * decay ** k.astype(jnp.float32))


class EpsilonGreedy(Exploration):
    """A uniformly random action with probability epsilon, otherwise a greedy one.

    `pi(a | s) = epsilon / A + (1 - epsilon) * [a is greedy] / (number of greedy actions)`. Subclasses are
    schedules of epsilon.
    """

    @abstractmethod
    def epsilon(self, frames: jax.Array, episodes: jax.Array) -> jax.Array:
        """Return epsilon in [0, 1] after this many frames and episodes."""

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

    value: float = setting(0.1, low=0, high=1, help="epsilon")

    def epsilon(self, frames: jax.Array, episodes: jax.Array) -> jax.Array:
        """Return epsilon."""
        del episodes
        return jnp.broadcast_to(jnp.float32(self.value), jnp.shape(frames))


class LinearDecay(EpsilonGreedy):
    """`epsilon = start + (end - start) * min(frames / duration, 1)`."""

    kind: ClassVar[str] = "linear"

    start: float = setting(1.0, low=0, high=1, help="epsilon at the first frame")
    end: float = setting(0.05, low=0, high=1, help="epsilon after `duration` frames")
    duration: float = setting(10_000.0, above=0, help="frames over which epsilon falls from start to end")

    def epsilon(self, frames: jax.Array, episodes: jax.Array) -> jax.Array:
        """Return epsilon after this many frames."""
        del episodes
        progress = jnp.minimum(frames / self.duration, 1.0)
        return self.start + (self.end - self.start) * progress


class ExponentialDecay(EpsilonGreedy):
    """`epsilon = max(end, start * decay ** k)`, where k is the number of episodes or frames so far."""

    kind: ClassVar[str] = "exponential"

    start: float = setting(1.0, low=0, high=1, help="initial epsilon")
    end: float = setting(0.02, low=0, high=1, help="minimum of epsilon")
    decay: float = setting(0.99, above=0, high=1, help="factor per episode or frame")
    per: str = setting("episode", choices=("episode", "frame"), help="unit of the decay")

    def check(self) -> None:
        """Raise a `UsageError` if `end` is above `start`."""
        _ordered(self.kind, ("end", self.end), ("start", self.start))

    def epsilon(self, frames: jax.Array, episodes: jax.Array) -> jax.Array:
        """Return epsilon after this many frames and episodes."""
        return decayed(self.start, self.end, self.decay, episodes if self.per == "episode" else frames)


class Sinusoidal(EpsilonGreedy):
    """`epsilon = low + (high - low) * (1 + cos(2 pi k / period)) / 2`.

    k is the number of frames or episodes so far. Epsilon starts at `high`, reaches `low` after half a period,
    and rises again: exploration resumes in every period, for environments that change.
    """

    kind: ClassVar[str] = "sinusoidal"

    low: float = setting(0.02, low=0, high=1, help="minimum of epsilon, after half a period")
    high: float = setting(0.5, low=0, high=1, help="maximum of epsilon, at the start of every period")
    period: float = setting(1_000.0, above=0, help="length of a period in frames or episodes")
    per: str = setting("frame", choices=("episode", "frame"), help="unit of the period")

    def check(self) -> None:
        """Raise a `UsageError` if `low` is above `high`."""
        _ordered(self.kind, ("low", self.low), ("high", self.high))

    def epsilon(self, frames: jax.Array, episodes: jax.Array) -> jax.Array:
        """Return epsilon after this many frames and episodes."""
        k = episodes if self.per == "episode" else frames
        phase = 2 * jnp.pi * ((k / self.period) % 1.0)
        return self.low + (self.high - self.low) * (1 + jnp.cos(phase)) / 2


class Boltzmann(Exploration):
    """`pi(a | s) = exp(Q(s, a) / T) / sum_b exp(Q(s, b) / T)` with `T = max(end, temperature * decay ** k)`.

    k is the number of episodes or frames so far. The policy is nearly uniform at temperatures far above the
    differences of the values, and nearly greedy at temperatures far below.
    """

    kind: ClassVar[str] = "boltzmann"

    temperature: float = setting(1.0, above=0, help="initial temperature, in units of the action values")
    decay: float = setting(1.0, above=0, high=1, help="factor per episode or frame; 1: constant")
    end: float = setting(0.01, above=0, help="minimum of the temperature")
    per: str = setting("episode", choices=("episode", "frame"), help="unit of the decay")

    def check(self) -> None:
        """Raise a `UsageError` if `end` is above `temperature`."""
        _ordered(self.kind, ("end", self.end), ("temperature", self.temperature))

    def probabilities(
        self, values: jax.Array, counts: jax.Array | None, frames: jax.Array, episodes: jax.Array
    ) -> jax.Array:
        """Return the softmax policy (A,)."""
        del counts
        k = episodes if self.per == "episode" else frames
        # Subtract the maximum before the division, which could overflow at low temperatures.
        below = values - jnp.max(values)
        return jax.nn.softmax(below / decayed(self.temperature, self.end, self.decay, k))


class UCB(Exploration):
    """The action with the highest upper confidence bound, `argmax_a Q(s, a) + c * sqrt(log t / n_a)`.

    n_a is the number of times that a was taken in this state, and `t = sum_a n_a`. Actions that were never
    taken come first. Ties are broken at random. Auer, Cesa-Bianchi & Fischer 2002.
    """

    kind: ClassVar[str] = "ucb"
    counts_visits: ClassVar[bool] = True

    confidence: float = setting(1.0, low=0, help="exploration bonus c, in units of the action values")

    def probabilities(
        self, values: jax.Array, counts: jax.Array | None, frames: jax.Array, episodes: jax.Array
    ) -> jax.Array:
        """Return the policy (A,): 1 for one action, except for ties."""
        del frames, episodes
        assert counts is not None, "UCB needs the visit counts of the actions"
        untried = counts == 0
        visits = jnp.maximum(jnp.sum(counts), 1.0)
        bonus = self.confidence * jnp.sqrt(jnp.log(visits) / jnp.maximum(counts, 1.0))
        return jnp.where(jnp.any(untried), greedy(untried.astype(jnp.float32)), greedy(values + bonus))
