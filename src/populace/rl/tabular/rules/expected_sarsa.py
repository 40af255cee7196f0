"""Expected SARSA (van Seijen, van Hasselt, Whiteson & Wiering 2009; Sutton & Barto 2018, section 6.6)."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from populace.rl.tabular.features import Basis
from populace.rl.tabular.rules.rule import Experience, Rule


class ExpectedSARSA(Rule):
    """`Q(s, a) += rate * (r + discount * sum_a' pi(a' | s') Q(s', a') - Q(s, a))`.

    SARSA without the variance due to the random next action.
    """

    kind: ClassVar[str] = "expected-sarsa"

    def learn(
        self, basis: Basis, tables: Any, memory: Any, step: Experience, rate: jax.Array, discount: jax.Array
    ) -> tuple[Any, Any, jax.Array]:
        """Move Q(s, a) toward the reward plus the expected value of the next action."""
        next_value = jnp.sum(step.next_policy * basis.values(tables, step.next_x))
        next_value = jnp.where(step.terminated, 0.0, next_value)
        td_error = step.reward + discount * next_value - basis.values(tables, step.x)[step.action]
        return basis.add(tables, step.x, step.action, rate * td_error), memory, td_error
