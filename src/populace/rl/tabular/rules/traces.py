"""Eligibility traces: SARSA(lambda) and Watkins's Q(lambda).

Rummery & Niranjan 1994; Watkins 1989; Singh & Sutton 1996, "Reinforcement learning with replacing
eligibility traces"; Sutton & Barto 2018, sections 12.7 and 12.10.
"""

from abc import abstractmethod
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.core.settings import setting
from populace.rl.tabular.features import Basis, Indexed
from populace.rl.tabular.rules.rule import Experience, Rule


class Traced(Rule):
    """A rule whose TD error updates all earlier states and actions, by an eligibility trace E (F, A).

    E         += x(s) for the action taken           (accumulating)
    E(s, a)    = 1                                   (replacing; tables only)
    Q         += rate * td_error * E
    E         *= discount * trace_decay              (0 at the end of an episode)
    """

    uses_next_action: ClassVar[bool] = True

    trace_decay: float = setting(0.9, low=0, high=1, help="lambda; 0 updates the last step only")
    trace: str = setting("replacing", choices=("accumulating", "replacing"), help="kind of eligibility trace")

    @abstractmethod
    def next_value(self, values: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the value of s', and the factor of the traces (0 cuts them), from Q(s', .) and a'."""

    def check(self, basis: Basis) -> None:
        """Raise a `UsageError` for replacing traces with features that are not a table."""
        if self.trace == "replacing" and not isinstance(basis, Indexed):
            raise UsageError("replacing traces need a table; with other features use rule.trace=accumulating")

    def memory(self, basis: Basis, weights: jax.Array, x: jax.Array) -> jax.Array:
        """Return a trace of zeros."""
        del basis, x
        return jnp.zeros_like(weights)

    def learn(
        self, basis: Basis, tables: Any, memory: Any, step: Experience, rate: jax.Array, discount: jax.Array
    ) -> tuple[Any, Any, jax.Array]:
        """Add the TD error of this step to all values, in proportion to their traces."""
        value, kept = self.next_value(basis.values(tables, step.next_x), step.next_action)
        value = jnp.where(step.terminated, 0.0, value)
        td_error = step.reward + discount * value - basis.values(tables, step.x)[step.action]
        here = basis.dense(step.x)[:, None] * jax.nn.one_hot(step.action, memory.shape[1])
        trace = jnp.where(here > 0, here, memory) if self.trace == "replacing" else memory + here
        tables = basis.add_trace(tables, trace, rate * td_error)
        return tables, trace * jnp.where(step.done, 0.0, discount * self.trace_decay * kept), td_error


class SARSALambda(Traced):
    """SARSA(lambda): `td_error = r + discount * Q(s', a') - Q(s, a)`, a' the action taken next."""

    kind: ClassVar[str] = "sarsa-lambda"

    def next_value(self, values: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the value of the next action; traces are never cut."""
        return values[action], jnp.float32(1)


class WatkinsQ(Traced):
    """Watkins's Q(lambda): `td_error = r + discount * max_a' Q(s', a') - Q(s, a)`.

    It learns the values of the greedy policy, so the traces are cut where the next action is not greedy.
    """

    kind: ClassVar[str] = "watkins-q"

    def next_value(self, values: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the highest value; traces are cut unless the next action has it."""
        best = jnp.max(values)
        return best, (values[action] == best).astype(jnp.float32)
