"""The interface of update rules: how action values change after one step of experience."""

from abc import abstractmethod
from typing import Any, ClassVar

import equinox as eqx
import jax

from populace.core.settings import Settings
from populace.rl.tabular.features import Basis


class Experience(eqx.Module):
    """One step (s, a, r, s') of one environment, and the policy in the next state.

    Attributes:
        x: encoded state s.
        action: a.
        reward: r.
        next_x: encoded state s', before any reset.
        next_policy: pi(. | s') of the behavior policy, (A,).
        next_action: a', sampled from it.
        terminated: whether s' is terminal, so that its value is 0.
        done: whether the episode ended: terminated or truncated.
        coin: a random number, uniform in [0, 1).

    """

    x: jax.Array
    action: jax.Array
    reward: jax.Array
    next_x: jax.Array
    next_policy: jax.Array
    next_action: jax.Array
    terminated: jax.Array
    done: jax.Array
    coin: jax.Array


class Rule(Settings):
    """An update rule; each subclass is one algorithm.

    If `uses_next_action` is true, the update depends on the next action, so the agent must take it. Otherwise
    the agent chooses its next action after the update.
    """

    uses_next_action: ClassVar[bool] = False

    def check(self, basis: Basis) -> None:
        """Raise a `UsageError` if the rule does not work with these features."""
        del basis

    def tables(self, weights: jax.Array) -> Any:
        """Return the learned arrays, initialized with weights (F, A): by default one such array."""
        return weights

    def values(self, basis: Basis, tables: Any, x: jax.Array) -> jax.Array:
        """Return the action values Q(s, .) that the policy uses, shape (A,)."""
        return basis.values(tables, x)

    def memory(self, basis: Basis, weights: jax.Array, x: jax.Array) -> Any:
        """Return the initial traces or pending steps of one environment; by default none."""
        del basis, weights, x
        return ()

    @abstractmethod
    def learn(
        self, basis: Basis, tables: Any, memory: Any, step: Experience, rate: jax.Array, discount: jax.Array
    ) -> tuple[Any, Any, jax.Array]:
        """Update the values after one step.

        Args:
            basis: features of the task.
            tables: learned arrays.
            memory: traces or pending steps of this environment.
            step: the step.
            rate: step size.
            discount: discount per step.

        Returns:
            the new tables, the new memory, and the TD error.

        """
