"""Solvers: second-order rules that take over after the first-order optimizer, member by member.

Each step either lowers the loss or leaves the model as it was. A member that stopped keeps its model, does no
work under `map`, and says why it stopped; the others go on.
"""

from abc import abstractmethod
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.settings import Settings
from populace.physics.objective import Model, Objective

RUNNING, STALLED, NO_DESCENT, NOT_FINITE = 0, 1, 2, 3
REASONS = {
    RUNNING: "all its steps were taken",
    STALLED: "the loss had stopped falling",
    NO_DESCENT: "no step lowered the loss",
    NOT_FINITE: "the loss was not finite, so the last good model was kept",
}
_PATIENCE = 10
_LEAST = 1e-6


class Progress(eqx.Module):
    """Whether a member still moves.

    Attributes:
        stopped: why it stopped, one of `REASONS`.
        stalls: steps in a row that lowered the loss by less than a millionth of itself.

    """

    stopped: jax.Array
    stalls: jax.Array

    @classmethod
    def start(cls) -> "Progress":
        """Return that of a member that has not begun."""
        return cls(jnp.int32(RUNNING), jnp.int32(0))

    def after(self, before: jax.Array, after: jax.Array, failed: Any = False) -> "Progress":
        """Return it after a step from one loss to another, and whether the rule itself had to give up."""
        small = before - after <= _LEAST * before
        stalls = jnp.where(small, self.stalls + 1, 0)
        stopped = jnp.where(stalls >= _PATIENCE, STALLED, RUNNING)
        stopped = jnp.where(failed, NO_DESCENT, stopped)
        stopped = jnp.where(jnp.isfinite(before), stopped, NOT_FINITE)
        return Progress(stopped.astype(jnp.int32), stalls.astype(jnp.int32))


class Solver(Settings):
    """A second-order rule; one of your own is a subclass with a `kind`."""

    remembers_gradients: ClassVar[bool] = False
    """Whether a loss that changes in every step leaves it with nothing to go by."""

    @abstractmethod
    def init(self, model: Model) -> Any:
        """Return what it remembers before its first step."""

    def again(self, memory: Any, model: Model) -> Any:
        """Return what it remembers once the loss is another: all, unless a rule says else."""
        del model
        return memory

    @abstractmethod
    def step(
        self, objective: Objective, model: Model, memory: Any
    ) -> tuple[Model, Any, jax.Array, jax.Array, jax.Array]:
        """Take one step.

        Returns:
            the model, no worse than before; what the rule remembers; the loss before and after; and whether
            the rule sees no way to lower it further.

        """


class NoSolver(Solver):
    """None: the first-order optimizer trains to the end."""

    kind: ClassVar[str] = "none"

    def init(self, model: Model) -> Any:
        """Return nothing."""
        del model

    def step(
        self, objective: Objective, model: Model, memory: Any
    ) -> tuple[Model, Any, jax.Array, jax.Array, jax.Array]:
        """Do nothing."""
        loss = objective.loss(model)[0]
        return model, memory, loss, loss, jnp.bool(True)
