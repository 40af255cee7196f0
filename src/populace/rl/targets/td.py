"""Temporal differences: from what a network says of a state and of the next one to a loss.

A network describes the return of an action by one number, its expectation, or by a distribution. What kind
it is decides how many numbers there are to an action, how to compare actions, and what the loss is.
"""

from abc import abstractmethod
from typing import ClassVar

import jax
import jax.numpy as jnp
import optax

from populace.core.settings import Settings


class Distribution(Settings):
    """How the return of an action is described, by `outputs` numbers."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Numbers per action; 0 where an action has one number and no axis for it."""

    @abstractmethod
    def expected(self, described: jax.Array) -> jax.Array:
        """Return the expected returns of actions, (..., A), as the network describes them."""

    @abstractmethod
    def losses(
        self, described: jax.Array, following: jax.Array, reward: jax.Array, bootstrap: jax.Array, loss: str
    ) -> tuple[jax.Array, jax.Array]:
        """Compare what is said of actions with what followed.

        Args:
            described: of the actions taken, (B, ...), by the network that learns.
            following: of the next states' chosen actions, (B, ...), by the target network.
            reward: (B,).
            bootstrap: weight of what follows, (B,): the discount, or 0 where the task terminated.
            loss: `huber` or `mse`, where the kind has a choice.

        Returns:
            the losses (B,), with no gradient through the target, and how surprising each transition
            was (B,), at least 0: its priority.

        """

    def check(self) -> None:
        """Raise a `UsageError` for settings that are sound each but not together."""


class Expectation(Distribution):
    """One number to an action, its expected return Q(s, a).

    `y = r + bootstrap * Q_target(s', a')`, `loss = l(Q(s, a) - y)` with l Huber, `d^2 / 2` where
    `|d| <= 1` and `|d| - 1/2` elsewhere (Mnih et al. 2015), or the square `d^2`.
    """

    kind: ClassVar[str] = "none"

    @property
    def outputs(self) -> int:
        """None besides the value itself."""
        return 0

    def expected(self, described: jax.Array) -> jax.Array:
        """Return Q."""
        return described

    def losses(
        self, described: jax.Array, following: jax.Array, reward: jax.Array, bootstrap: jax.Array, loss: str
    ) -> tuple[jax.Array, jax.Array]:
        """Return the losses and `|Q(s, a) - y|`."""
        td_target = jax.lax.stop_gradient(reward + bootstrap * following)
        measure = optax.huber_loss if loss == "huber" else optax.squared_error
        return measure(described, td_target), jnp.abs(described - td_target)


def taken(described: jax.Array, action: jax.Array) -> jax.Array:
    """Return what is said of the actions taken, `described[i, action[i]]`: (B, ...) from (B, A, ...).

    By a one-hot product, since gathers are slow in loops on CPU.
    """
    chosen = jax.nn.one_hot(action, described.shape[1])
    return jnp.sum(described * chosen.reshape(chosen.shape + (1,) * (described.ndim - 2)), axis=1)
