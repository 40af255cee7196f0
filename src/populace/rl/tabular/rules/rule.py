"""Rule: how action values change after one step of experience."""

from abc import abstractmethod
from typing import Any, ClassVar

import equinox as eqx
import jax

from populace.core.settings import Settings
from populace.rl.tabular.features import Basis


class Experience(eqx.Module):
    """One step of one environment, and what the agent would do next; written x for features of s.

    Attributes:
        x: features of the state acted in.
        action: what was done.
        reward: what it gave.
        next_x: features of the state it led to, before any restart.
        next_policy: (A,) probabilities of the actions there, by the policy that acts.
        next_action: an action drawn from them.
        terminated: the task ended; nothing follows, and nothing is bootstrapped.
        done: whether the episode ended: terminated or truncated.
        coin: a number drawn evenly from [0, 1).

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
    """An update rule; a kind of it is one algorithm.

    `commits` is true where the action that the rule learned from has to be the one that is taken next
    (on-policy); where it is false, the next action is chosen after the update.
    """

    commits: ClassVar[bool] = False

    def check(self, basis: Basis) -> None:
        """Raise a `UsageError` if the rule cannot work with these features."""
        del basis

    def tables(self, weights: jax.Array) -> Any:
        """Return what the rule learns, begun with weights (F, A): by default one such array."""
        return weights

    def values(self, basis: Basis, tables: Any, x: jax.Array) -> jax.Array:
        """Return the values Q(s, .) to act by, shape (A,)."""
        return basis.values(tables, x)

    def memory(self, basis: Basis, weights: jax.Array, x: jax.Array) -> Any:
        """Return what the rule remembers of an environment at first; by default nothing."""
        del basis, weights, x
        return ()

    @abstractmethod
    def learn(
        self, basis: Basis, tables: Any, memory: Any, step: Experience, rate: jax.Array, discount: jax.Array
    ) -> tuple[Any, Any, jax.Array]:
        """Return the tables and the memory after one step, and its temporal difference."""
