"""Schedules: what the learning rate is multiplied by over a learner's iterations.

A step is an iteration of the learner, as `run.steps` counts them: a batch, an epoch over a graph, a rollout.
So a schedule that ends with the run has its `steps`.
"""

from abc import abstractmethod
from typing import ClassVar

import jax
import jax.numpy as jnp
import optax

from populace.core.settings import Settings, setting
from populace.optim.optimizers import named


class Schedule(Settings):
    """A factor on the learning rate; one of your own is a subclass with a `kind`, as of `Optimizer`."""

    def __check_init__(self) -> None:
        """Refuse a class that a recipe could not name."""
        named(self, "schedule")

    @abstractmethod
    def factor(self, step: jax.Array) -> jax.Array:
        """Return the factor at a step, counted from 0."""


class Constant(Schedule):
    """`factor = 1`."""

    kind: ClassVar[str] = "constant"

    def factor(self, step: jax.Array) -> jax.Array:
        """Return 1."""
        del step
        return jnp.float32(1)


class Linear(Schedule):
    """`factor = 1 - (1 - end) min(1, t / steps)`."""

    kind: ClassVar[str] = "linear"
    steps: int = setting(10_000, low=1, help="step from which the factor is `end`")
    end: float = setting(0.0, low=0, high=1, help="factor from that step on")

    def factor(self, step: jax.Array) -> jax.Array:
        """Return the factor at a step."""
        return jnp.asarray(optax.linear_schedule(1.0, self.end, self.steps)(step))


class Cosine(Schedule):
    """Linear warm-up, then `end + (1 - end) (1 + cos(pi t / T)) / 2` (Loshchilov and Hutter 2017)."""

    kind: ClassVar[str] = "cosine"
    steps: int = setting(10_000, low=1, help="step from which the factor is `end`, warm-up included")
    warmup: int = setting(0, low=0, help="steps over which the factor rises to 1")
    end: float = setting(0.0, low=0, high=1, help="factor at the end")

    def factor(self, step: jax.Array) -> jax.Array:
        """Return the factor at a step."""
        decay = optax.cosine_decay_schedule(1.0, max(self.steps - self.warmup, 1), self.end)
        # Optax's own warm-up begins at 0, and would waste a step.
        rise = jnp.minimum(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        return jnp.asarray(rise * decay(jnp.maximum(step - self.warmup, 0)))


# Optax's exponential decay asks `decay_rate == 0` in Python, which a rate that is swept cannot answer.
class Exponential(Schedule):
    """`factor = decay^(t / every)`."""

    kind: ClassVar[str] = "exponential"
    decay: float = setting(0.5, above=0, high=1, help="factor over `every` steps")
    every: int = setting(1_000, low=1, help="steps over which the learning rate falls by `decay`")

    def factor(self, step: jax.Array) -> jax.Array:
        """Return the factor at a step."""
        return self.decay ** (step / self.every)


class Staircase(Schedule):
    """`factor = decay^floor(t / every)`."""

    kind: ClassVar[str] = "staircase"
    decay: float = setting(0.1, above=0, high=1, help="factor at each stair")
    every: int = setting(1_000, low=1, help="steps per stair")

    def factor(self, step: jax.Array) -> jax.Array:
        """Return the factor at a step."""
        return self.decay ** (step // self.every)
