"""n-step SARSA (Sutton & Barto 2018, section 7.2)."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.settings import setting
from populace.rl.tabular.features import Basis
from populace.rl.tabular.rules.rule import Experience, Rule


class Window(eqx.Module):
    """The last n steps of an episode, oldest first; those not yet learned from are `waiting`.

    Attributes:
        x: features of the states.
        action: what was done.
        gained: discounted rewards since.
        factor: discount to the power of the steps since.
        waiting: whether the slot holds a step that is still to be learned from.

    """

    x: jax.Array
    action: jax.Array
    gained: jax.Array
    factor: jax.Array
    waiting: jax.Array


class NStepSARSA(Rule):
    """`Q(s_t, a_t) += rate * (G - Q(s_t, a_t))`, n steps later.

        G = sum_{k < n} discount^k r_{t+k+1} + discount^n Q(s_{t+n}, a_{t+n})

    When an episode ends, all steps still waiting are learned from, the oldest first: from their
    rewards alone if the task terminated, and with the last state bootstrapped if the clock cut it.
    """

    kind: ClassVar[str] = "n-step-sarsa"
    commits: ClassVar[bool] = True

    n: int = setting(4, low=1, help="rewards before bootstrapping; 1 is SARSA")

    def memory(self, basis: Basis, weights: jax.Array, x: jax.Array) -> Window:
        """Return an empty window."""
        del basis, weights
        nothing = jnp.zeros(self.n)
        return Window(
            x=jnp.zeros((self.n, *x.shape), x.dtype),
            action=jnp.zeros(self.n, jnp.int32),
            gained=nothing,
            factor=nothing,
            waiting=nothing > 0,
        )

    def learn(
        self, basis: Basis, tables: Any, memory: Any, step: Experience, rate: jax.Array, discount: jax.Array
    ) -> tuple[Any, Any, jax.Array]:
        """Take the step in, and learn from those that are due."""

        def push(slots: jax.Array, new: Any) -> jax.Array:
            return jnp.concatenate([slots[1:], jnp.asarray(new, slots.dtype)[None]])

        factor = push(memory.factor, 1.0)
        gained = push(memory.gained, 0.0) + factor * step.reward
        factor = factor * discount
        x, action = push(memory.x, step.x), push(memory.action, step.action)
        waiting = push(memory.waiting, True)
        following = basis.values(tables, step.next_x)[step.next_action]
        targets = gained + factor * jnp.where(step.terminated, 0.0, following)
        due = waiting & (step.done | (jnp.arange(self.n) == 0))
        differences = jnp.zeros(())
        for i in range(self.n):
            difference = jnp.where(due[i], targets[i] - basis.values(tables, x[i])[action[i]], 0.0)
            tables = basis.add(tables, x[i], action[i], rate * difference)
            differences = differences + jnp.abs(difference)
        mean = differences / jnp.maximum(due.sum(), 1)
        return tables, Window(x, action, gained, factor, waiting & ~due), mean
