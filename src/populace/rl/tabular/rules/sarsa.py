"""SARSA (Rummery & Niranjan 1994; Sutton & Barto 2018, section 6.4)."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from populace.rl.tabular.features import Basis
from populace.rl.tabular.rules.rule import Experience, Rule


class SARSA(Rule):
    """`Q(s, a) += rate * (r + discount * Q(s', a') - Q(s, a))`, a' the action taken next: on-policy."""

    kind: ClassVar[str] = "sarsa"
    commits: ClassVar[bool] = True

    def learn(
        self, basis: Basis, tables: Any, memory: Any, step: Experience, rate: jax.Array, discount: jax.Array
    ) -> tuple[Any, Any, jax.Array]:
        """Move Q(s, a) toward the reward and the value of the next action."""
        following = basis.values(tables, step.next_x)[step.next_action]
        following = jnp.where(step.terminated, 0.0, following)
        difference = step.reward + discount * following - basis.values(tables, step.x)[step.action]
        return basis.add(tables, step.x, step.action, rate * difference), memory, difference
