"""Q-learning (Watkins 1989; Watkins & Dayan 1992, "Q-learning", Machine Learning 8)."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from populace.rl.tabular.features import Basis
from populace.rl.tabular.rules.rule import Experience, Rule


class QLearning(Rule):
    """`Q(s, a) += rate * (r + discount * max_a' Q(s', a') - Q(s, a))`, an off-policy estimate of q*."""

    kind: ClassVar[str] = "q-learning"

    def learn(
        self, basis: Basis, tables: Any, memory: Any, step: Experience, rate: jax.Array, discount: jax.Array
    ) -> tuple[Any, Any, jax.Array]:
        """Move Q(s, a) toward the reward plus the value of the best next action."""
        next_value = jnp.where(step.terminated, 0.0, jnp.max(basis.values(tables, step.next_x)))
        td_error = step.reward + discount * next_value - basis.values(tables, step.x)[step.action]
        return basis.add(tables, step.x, step.action, rate * td_error), memory, td_error
