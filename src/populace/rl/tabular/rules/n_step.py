"""n-step SARSA (Sutton & Barto 2018, section 7.2)."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.settings import setting
from populace.rl.tabular.features import Basis
from populace.rl.tabular.rules.rule import Experience, Rule


class PendingSteps(eqx.Module):
    """The last n steps of an environment, oldest first.

    Attributes:
        x: encoded states, (n, ...).
        action: actions, (n,).
        rewards: discounted sum of the rewards since, (n,).
        discount_power: discount to the power of the number of steps since, (n,).
        pending: whether the slot holds a step without its update, (n,).

    """

    x: jax.Array
    action: jax.Array
    rewards: jax.Array
    discount_power: jax.Array
    pending: jax.Array


class NStepSARSA(Rule):
    """`Q(s_t, a_t) += rate * (G - Q(s_t, a_t))`, n steps later.

        G = sum_{k < n} discount^k r_{t+k+1} + discount^n Q(s_{t+n}, a_{t+n})

    At the end of an episode all pending steps are updated, oldest first: with the rewards alone if it
    terminated, and bootstrapped from the last state if it was truncated.
    """

    kind: ClassVar[str] = "n-step-sarsa"
    uses_next_action: ClassVar[bool] = True

    n: int = setting(4, low=1, help="number of rewards before bootstrapping; 1 is SARSA")

    def memory(self, basis: Basis, weights: jax.Array, x: jax.Array) -> PendingSteps:
        """Return n empty slots."""
        del basis, weights
        nothing = jnp.zeros(self.n)
        return PendingSteps(
            x=jnp.zeros((self.n, *x.shape), x.dtype),
            action=jnp.zeros(self.n, jnp.int32),
            rewards=nothing,
            discount_power=nothing,
            pending=nothing > 0,
        )

    def learn(
        self, basis: Basis, tables: Any, memory: Any, step: Experience, rate: jax.Array, discount: jax.Array
    ) -> tuple[Any, Any, jax.Array]:
        """Add the step, and update the values of the steps that are due."""

        def push(slots: jax.Array, new: Any) -> jax.Array:
            return jnp.concatenate([slots[1:], jnp.asarray(new, slots.dtype)[None]])

        discount_power = push(memory.discount_power, 1.0)
        rewards = push(memory.rewards, 0.0) + discount_power * step.reward
        discount_power = discount_power * discount
        x, action = push(memory.x, step.x), push(memory.action, step.action)
        pending = push(memory.pending, True)
        next_value = basis.values(tables, step.next_x)[step.next_action]
        targets = rewards + discount_power * jnp.where(step.terminated, 0.0, next_value)
        due = pending & (step.done | (jnp.arange(self.n) == 0))
        td_errors = jnp.zeros(())
        for i in range(self.n):
            td_error = jnp.where(due[i], targets[i] - basis.values(tables, x[i])[action[i]], 0.0)
            tables = basis.add(tables, x[i], action[i], rate * td_error)
            td_errors = td_errors + jnp.abs(td_error)
        mean = td_errors / jnp.maximum(due.sum(), 1)
        return tables, PendingSteps(x, action, rewards, discount_power, pending & ~due), mean
