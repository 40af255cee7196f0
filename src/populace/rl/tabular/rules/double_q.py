"""Double Q-learning (van Hasselt 2010, "Double Q-learning", NeurIPS)."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from populace.rl.tabular.features import Basis
from populace.rl.tabular.rules.rule import Experience, Rule


class DoubleQ(Rule):
    """Two tables; a coin says which learns, and the other one values what it would choose.

        a*         = argmax_a' Q_1(s', a')
        Q_1(s, a) += rate * (r + discount * Q_2(s', a*) - Q_1(s, a))        or the same with 1 and 2 exchanged

    The maximum of noisy values is too high on average; choosing by one table and valuing by the
    other is not. The agent acts by the mean of both.
    """

    kind: ClassVar[str] = "double-q"

    def tables(self, weights: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return two tables, equal at first."""
        return weights, weights

    def values(self, basis: Basis, tables: Any, x: jax.Array) -> jax.Array:
        """Return the mean of both tables."""
        first, second = tables
        return (basis.values(first, x) + basis.values(second, x)) / 2

    def learn(
        self, basis: Basis, tables: Any, memory: Any, step: Experience, rate: jax.Array, discount: jax.Array
    ) -> tuple[Any, Any, jax.Array]:
        """Move Q(s, a) of one table toward the reward and the other table's value of what follows."""
        first, second = tables
        heads = step.coin < 0.5

        def exchanged(x: jax.Array) -> tuple[jax.Array, jax.Array]:
            one, other = basis.values(first, x), basis.values(second, x)
            return jnp.where(heads, one, other), jnp.where(heads, other, one)

        chooses, values = exchanged(step.next_x)
        following = jnp.where(step.terminated, 0.0, values[jnp.argmax(chooses)])
        difference = step.reward + discount * following - exchanged(step.x)[0][step.action]
        change = rate * difference
        first = basis.add(first, step.x, step.action, jnp.where(heads, change, 0.0))
        second = basis.add(second, step.x, step.action, jnp.where(heads, 0.0, change))
        return (first, second), memory, difference
