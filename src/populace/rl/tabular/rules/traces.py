"""Eligibility traces: SARSA(lambda) and Watkins' Q(lambda).

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
    """A rule whose temporal difference changes all that led up to it, by a trace E (F, A).

    E         += x(s) for the action taken           (accumulating)
    E(s, a)    = 1                                   (replacing; tables only)
    Q         += rate * difference * E
    E         *= discount * trace_decay              (0 where the episode is over)
    """

    commits: ClassVar[bool] = True

    trace_decay: float = setting(0.9, low=0, high=1, help="lambda; 0 learns from the last step only")
    trace: str = setting(
        "replacing", choices=("accumulating", "replacing"), help="what a second visit does to its trace"
    )

    @abstractmethod
    def following(self, values: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return what follows is worth, and the share of the traces that is kept, from Q(s', .) and a'."""

    def check(self, basis: Basis) -> None:
        """Refuse to replace traces of features that are not one state each."""
        if self.trace == "replacing" and not isinstance(basis, Indexed):
            raise UsageError(
                "replacing traces need a table; with other features take rule.trace=accumulating"
            )

    def memory(self, basis: Basis, weights: jax.Array, x: jax.Array) -> jax.Array:
        """Return a trace of nothing."""
        del basis, x
        return jnp.zeros_like(weights)

    def learn(
        self, basis: Basis, tables: Any, memory: Any, step: Experience, rate: jax.Array, discount: jax.Array
    ) -> tuple[Any, Any, jax.Array]:
        """Move all traced values by the temporal difference of this step."""
        value, kept = self.following(basis.values(tables, step.next_x), step.next_action)
        value = jnp.where(step.terminated, 0.0, value)
        difference = step.reward + discount * value - basis.values(tables, step.x)[step.action]
        here = basis.dense(step.x)[:, None] * jax.nn.one_hot(step.action, memory.shape[1])
        trace = jnp.where(here > 0, here, memory) if self.trace == "replacing" else memory + here
        tables = basis.spread(tables, trace, rate * difference)
        return tables, trace * jnp.where(step.done, 0.0, discount * self.trace_decay * kept), difference


class SARSALambda(Traced):
    """SARSA(lambda): `difference = r + discount * Q(s', a') - Q(s, a)`, a' the action taken next."""

    kind: ClassVar[str] = "sarsa-lambda"

    def following(self, values: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the value of the next action; all traces are kept."""
        return values[action], jnp.float32(1)


class WatkinsQ(Traced):
    """Watkins' Q(lambda): `difference = r + discount * max_a' Q(s', a') - Q(s, a)`.

    What is learned is the value of acting greedily, so the traces are cut where the next action is not.
    """

    kind: ClassVar[str] = "watkins-q"

    def following(self, values: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the best value; traces are kept if the next action has it."""
        best = jnp.max(values)
        return best, (values[action] == best).astype(jnp.float32)
