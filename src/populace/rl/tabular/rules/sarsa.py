"""SARSA (Rummery & Niranjan 1994; Sutton & Barto 2018, section 6.4)."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from populace.rl.tabular.features import Basis
from populace.rl.tabular.rules.rule import Experience, Rule


class SARSA(Rule):
    """`Q(s, a) += rate * (r + discount * Q(s', a') - Q(s, a))`, a' the action taken next: on-policy."""

    kind: ClassVar[str] = "sarsa"
    uses_next_action: ClassVar[bool] = True

    def learn(
        self, basis: Basis, tables: Any, memory: Any, step: Experience, rate: jax.Array, discount: jax.Array
    ) -> tuple[Any, Any, jax.Array]:
        """Move Q(s, a) toward the reward plus the value of the next action."""
        next_value = basis.values(tables, step.next_x)[step.next_action]
        next_value = jnp.where(step.terminated, 0.0, next_value)
        td_error = step.reward + discount * next_value - basis.values(tables, step.x)[step.action]
        return basis.add(tables, step.x, step.action, rate * td_error), memory, td_error
