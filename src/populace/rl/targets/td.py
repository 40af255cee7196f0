"""Temporal-difference losses: from a network's outputs for a state and for the next one to a loss.

A network represents the return of an action by its expected value or by a distribution. That choice decides
how many outputs the network has per action, how actions are compared, and what the loss is.
"""

from abc import abstractmethod
from typing import ClassVar

import jax
import jax.numpy as jnp
import optax

from populace.core.settings import Settings


class Distribution(Settings):
    """How a network represents the return of an action, with `outputs` numbers per action."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Network outputs per action; 0 for a single value without an axis of its own."""

    @abstractmethod
    def expected(self, params: jax.Array) -> jax.Array:
        """Return the expected returns (..., A) of distribution parameters (..., A, outputs)."""

    @abstractmethod
    def losses(
        self, online: jax.Array, target: jax.Array, reward: jax.Array, bootstrap: jax.Array, loss: str
    ) -> tuple[jax.Array, jax.Array]:
        """Compare the online network's prediction with the target network's.

        Args:
            online: parameters that the online network gives for the action taken in s, (B, ...).
            target: parameters that the target network gives for the action chosen in s', (B, ...).
            reward: r, (B,).
            bootstrap: factor of the value of s', (B,): the discount, or 0 where the task terminated.
            loss: `huber` or `mse`; used only by `Expectation`.

        Returns:
            losses (B,), with no gradient through the target, and the replay priorities (B,), at least 0.

        """

    def check(self) -> None:
        """Raise a `UsageError` for settings that are each valid but do not fit together."""


class Expectation(Distribution):
    """One output per action: the expected return Q(s, a).

    `y = r + bootstrap * Q_target(s', a')`, `loss = l(Q(s, a) - y)` with l either the Huber loss, `d^2 / 2`
    where `|d| <= 1` and `|d| - 1/2` elsewhere (Mnih et al. 2015), or the square `d^2`. The priority is the
    absolute TD error `|Q(s, a) - y|`.
    """

    kind: ClassVar[str] = "expected"

    @property
    def outputs(self) -> int:
        """0: the value itself, without an axis of its own."""
        return 0

    def expected(self, params: jax.Array) -> jax.Array:
        """Return Q, (..., A)."""
        return params

    def losses(
        self, online: jax.Array, target: jax.Array, reward: jax.Array, bootstrap: jax.Array, loss: str
    ) -> tuple[jax.Array, jax.Array]:
        """Return the losses and `|Q(s, a) - y|`."""
        td_target = jax.lax.stop_gradient(reward + bootstrap * target)
        measure = optax.huber_loss if loss == "huber" else optax.squared_error
        return measure(online, td_target), jnp.abs(online - td_target)


def select_action_values(values: jax.Array, action: jax.Array) -> jax.Array:
    """Return `values[i, action[i]]`, the values or distribution parameters of one action per row.

    A product with a one-hot vector, because gathers are slow inside loops on CPU.

    Args:
        values: for every action, (B, A, ...).
        action: (B,).

    Returns:
        (B, ...).

    """
    chosen = jax.nn.one_hot(action, values.shape[1])
    return jnp.sum(values * chosen.reshape(chosen.shape + (1,) * (values.ndim - 2)), axis=1)
