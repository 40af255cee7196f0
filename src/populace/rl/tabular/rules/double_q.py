"""Double Q-learning (van Hasselt 2010, "Double Q-learning", NeurIPS)."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from populace.rl.tabular.features import Basis
from populace.rl.tabular.rules.rule import Experience, Rule


class DoubleQ(Rule):
    """Two tables; a coin flip decides which one is updated, with the other one's value of its greedy action.

        a*         = argmax_a' Q_1(s', a')
        Q_1(s, a) += rate * (r + discount * Q_2(s', a*) - Q_1(s, a))        or the same with 1 and 2 swapped

    The maximum of noisy estimates is biased upward; selecting with one table and evaluating with the other
    removes this bias. The agent acts on the mean of both.
    """

    kind: ClassVar[str] = "double-q"

    def tables(self, weights: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return two tables with equal initial values."""
        return weights, weights

    def values(self, basis: Basis, tables: Any, x: jax.Array) -> jax.Array:
        """Return the mean of both tables."""
        first, second = tables
        return (basis.values(first, x) + basis.values(second, x)) / 2

    def learn(
        self, basis: Basis, tables: Any, memory: Any, step: Experience, rate: jax.Array, discount: jax.Array
    ) -> tuple[Any, Any, jax.Array]:
        """Move Q(s, a) of one table toward the reward plus the other table's value of the next state."""
        first, second = tables
        heads = step.coin < 0.5

        def updated_first(x: jax.Array) -> tuple[jax.Array, jax.Array]:
            one, other = basis.values(first, x), basis.values(second, x)
            return jnp.where(heads, one, other), jnp.where(heads, other, one)

        select, evaluate = updated_first(step.next_x)
        next_value = jnp.where(step.terminated, 0.0, evaluate[jnp.argmax(select)])
        td_error = step.reward + discount * next_value - updated_first(step.x)[0][step.action]
        change = rate * td_error
        first = basis.add(first, step.x, step.action, jnp.where(heads, change, 0.0))
        second = basis.add(second, step.x, step.action, jnp.where(heads, 0.0, change))
        return (first, second), memory, td_error
