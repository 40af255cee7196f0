"""Optimisers and schedules as settings: every number in them may differ between members.

The update rules are Optax's; `docs/layers/building-blocks.md` says which is which. One step takes

    g   <- g * min(1, clip / |g|)                      gradient clipping, where clip > 0
    d   <- rule(g)                                     the optimiser's own direction
    w   <- w - learning_rate * factor(t) * (d + weight_decay * w)

Weight decay is decoupled (Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization"), so
that with `adam` it is AdamW, and leaves biases and scales (arrays of one axis) alone.
"""

from abc import abstractmethod
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import optax

from populace.core.settings import Settings, setting


class Optimiser(Settings):
    """A rule that turns a gradient into a direction."""

    @abstractmethod
    def rule(self) -> optax.GradientTransformation:
        """Return the rule, without learning rate and weight decay."""


class SGD(Optimiser):
    """Gradient descent: `d = g`."""

    kind: ClassVar[str] = "sgd"

    def rule(self) -> optax.GradientTransformation:
        """Return the rule."""
        return optax.identity()


class Momentum(Optimiser):
    """`v <- decay v + g; d = v`, or with Nesterov's look ahead `d = decay v + g`."""

    kind: ClassVar[str] = "momentum"
    decay: float = setting(0.9, low=0, high=1, help="share of the velocity that a step keeps")
    nesterov: bool = setting(False, help="look ahead by one step of the velocity")

    def rule(self) -> optax.GradientTransformation:
        """Return the rule."""
        return optax.trace(self.decay, self.nesterov)


class AdaGrad(Optimiser):
    """`s <- s + g^2; d = g / sqrt(s + eps)` (Duchi et al. 2011)."""

    kind: ClassVar[str] = "adagrad"
    start: float = setting(0.1, low=0, help="value that the sum of squares starts from")
    eps: float = setting(1e-7, above=0, help="added under the root")

    def rule(self) -> optax.GradientTransformation:
        """Return the rule."""
        return optax.scale_by_rss(self.start, self.eps)


class RMSProp(Optimiser):
    """`s <- decay s + (1 - decay) g^2; d = g / sqrt(s + eps)` (Tieleman and Hinton 2012)."""

    kind: ClassVar[str] = "rmsprop"
    decay: float = setting(0.9, low=0, high=1, help="share of the mean square that a step keeps")
    eps: float = setting(1e-8, above=0, help="added under the root")

    def rule(self) -> optax.GradientTransformation:
        """Return the rule."""
        return optax.scale_by_rms(self.decay, self.eps)


class Adam(Optimiser):
    """Running means of g and g^2, both corrected for their start (Kingma and Ba 2015)."""

    kind: ClassVar[str] = "adam"
    b1: float = setting(0.9, low=0, high=1, help="share of the mean that a step keeps")
    b2: float = setting(0.999, low=0, high=1, help="share of the mean square that a step keeps")
    eps: float = setting(1e-8, above=0, help="added to the root")

    def rule(self) -> optax.GradientTransformation:
        """Return the rule."""
        return optax.scale_by_adam(self.b1, self.b2, self.eps)


class Schedule(Settings):
    """A factor on the learning rate over the steps."""

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


class Cosine(Schedule):
    """Linear warm-up, then `end + (1 - end) (1 + cos(pi t / T)) / 2` (Loshchilov and Hutter 2017)."""

    kind: ClassVar[str] = "cosine"
    steps: int = setting(10_000, low=1, help="step at which the end is reached, warm-up included")
    warmup: int = setting(0, low=0, help="steps over which the factor rises to 1")
    end: float = setting(0.0, low=0, high=1, help="factor from that step on")

    def factor(self, step: jax.Array) -> jax.Array:
        """Return the factor at a step."""
        rise = jnp.minimum(1.0, (step + 1) / max(self.warmup, 1)) if self.warmup else 1.0
        share = jnp.clip((step - self.warmup) / max(self.steps - self.warmup, 1), 0.0, 1.0)
        return rise * (self.end + (1 - self.end) * (1 + jnp.cos(jnp.pi * share)) / 2)


class Exponential(Schedule):
    """`factor = decay^(step / every)`."""

    kind: ClassVar[str] = "exponential"
    decay: float = setting(0.5, above=0, high=1, help="factor over `every` steps")
    every: int = setting(1_000, low=1, help="steps over which the learning rate falls by `decay`")

    def factor(self, step: jax.Array) -> jax.Array:
        """Return the factor at a step."""
        return self.decay ** (step / self.every)


class Staircase(Schedule):
    """`factor = decay^floor(step / every)`."""

    kind: ClassVar[str] = "staircase"
    decay: float = setting(0.1, above=0, high=1, help="factor at each stair")
    every: int = setting(1_000, low=1, help="steps per stair")

    def factor(self, step: jax.Array) -> jax.Array:
        """Return the factor at a step."""
        return self.decay ** (step // self.every)


def descend(
    weights: Any,
    gradient: Any,
    memory: Any,
    *,
    optimizer: Optimiser,
    rate: jax.Array | float,
    weight_decay: jax.Array | float,
    max_gradient_norm: jax.Array | float,
) -> tuple[Any, Any]:
    """Take one step as the head of this file says; return the new weights and the rule's memory."""
    norm = optax.tree.norm(gradient)
    shrink = jnp.where(
        (max_gradient_norm > 0) & (norm > max_gradient_norm),
        max_gradient_norm / jnp.maximum(norm, 1e-30),
        1.0,
    )
    gradient = jax.tree.map(lambda g: g * shrink, gradient)
    direction, memory = optimizer.rule().update(gradient, memory, weights)

    def move(w: jax.Array, d: jax.Array) -> jax.Array:
        decay = weight_decay * w if w.ndim > 1 else 0.0
        return w - (rate * (d + decay)).astype(w.dtype)

    return jax.tree.map(move, weights, direction), memory
