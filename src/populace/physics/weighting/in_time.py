"""Weights along time: what comes later counts once what came before is right."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from populace.core.settings import Settings, setting
from populace.physics.objective import Model, Objective

Weighted = tuple[Objective, Any, dict[str, jax.Array]]


class InTime(Settings):
    """How residuals at different times count; one of your own is a subclass with a `kind`."""

    @property
    def changes_the_loss(self) -> bool:
        """Whether the loss is another in every step."""
        return False

    @property
    def needs_time(self) -> bool:
        """Whether it is for problems with time only."""
        return True

    def stage(self, memory: Any) -> Any:
        """Return a number; where it changes, the solver begins again."""
        del memory
        return 0

    def init(self) -> Any:
        """Return what it remembers before the first step."""

    def weighted(self, objective: Objective, model: Model, memory: Any) -> Weighted:
        """Return the objective of this step, what it remembers, and metrics."""
        del model
        return objective, memory, {}


class AllTimes(InTime):
    """All times count the same."""

    kind: ClassVar[str] = "all-times"

    @property
    def needs_time(self) -> bool:
        """It is for all."""
        return False


class Causal(InTime):
    r"""Causal weights: times are cut into slices, and a slice counts by what those before it have left.

        w_i = exp(-tolerance sum_{j < i} L_j)

    L_j is the mean square of the equations' residuals in slice j, summed over equations. Weights are
    constants in a step. The tolerances are taken in turn: the next one once all weights are above
    `threshold`. The metric `least causal weight` is that of the last slice: where it stays low, the end was
    never trained.

    Source: Wang, Sankaran and Perdikaris 2024, "Respecting causality for training physics-informed neural
    networks".
    """

    kind: ClassVar[str] = "causal"

    slices: int = setting(16, low=2, help="slices of time")
    tolerances: tuple[float, ...] = setting(
        (0.01, 0.1, 1.0, 10.0, 100.0), above=0, help="tolerances, in turn"
    )
    threshold: float = setting(0.99, above=0, high=1, help="least weight that ends a tolerance's turn")

    @property
    def changes_the_loss(self) -> bool:
        """It does."""
        return True

    def init(self) -> Any:
        """Return the number of the first tolerance."""
        return jnp.int32(0)

    def stage(self, memory: Any) -> Any:
        """Return the number of the tolerance."""
        return memory

    def weighted(self, objective: Objective, model: Model, memory: Any) -> Weighted:
        """Return the objective whose points inside have causal weights."""
        problem = objective.problem
        names = list(problem.equations)
        points = objective.points[names[0]]
        place = problem.domain.names.index(problem.domain.time)
        begin, end = problem.domain.low[place], problem.domain.high[place]
        part = (points.at[:, place] - begin) / (end - begin) * self.slices
        row = jnp.clip(part.astype(jnp.int32), 0, self.slices - 1)
        residuals = objective.residuals(model)
        squares = jnp.sum(jnp.stack([residuals[name] ** 2 for name in names]), 0)
        counts = (points.weights > 0).astype(squares.dtype)

        def of_slices(values: Any) -> jax.Array:
            return jax.ops.segment_sum(values, row, self.slices)

        losses = of_slices(counts * squares) / jnp.maximum(of_slices(counts), 1.0)
        tolerance = jnp.asarray(self.tolerances, squares.dtype)[memory]
        weights = jax.lax.stop_gradient(jnp.exp(-tolerance * (jnp.cumsum(losses) - losses)))
        after = jnp.minimum(memory + (weights[-1] > self.threshold), len(self.tolerances) - 1)
        causal = objective.with_point_weights(dict.fromkeys(names, weights[row]))
        return causal, after.astype(jnp.int32), {"least causal weight": weights[-1]}
