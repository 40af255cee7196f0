"""Marching in time: the interval that is trained on grows to its end."""

from typing import Any, ClassVar

import jax.numpy as jnp

from populace.core.settings import setting
from populace.physics.objective import Model, Objective
from populace.physics.weighting.in_time import InTime, Weighted


class Marching(InTime):
    """Equations count at times up to an end that moves on after every `steps` iterations, in equal windows.

    One network stands for all times: what it has learned of a window is where it starts in the next. Points
    count as in a mean over those that are due. The metric `trained until` is the end.

    Source: Wight and Zhao 2021, "Solving Allen-Cahn and Cahn-Hilliard equations using the adaptive physics
    informed neural networks" (the first of their two approaches in time).
    """

    kind: ClassVar[str] = "marching"

    windows: int = setting(4, low=2, help="windows of time, of equal length")
    steps: int = setting(200, low=1, help="iterations in each window but the last")

    def init(self) -> Any:
        """Return the iterations until now."""
        return jnp.int32(0)

    def stage(self, memory: Any) -> Any:
        """Return how many windows count."""
        return jnp.minimum(1 + memory // self.steps, self.windows)

    def weighted(self, objective: Objective, model: Model, memory: Any) -> Weighted:
        """Return the objective whose points inside count up to the end of now."""
        del model
        problem = objective.problem
        names = list(problem.equations)
        points, place = objective.points[names[0]], problem.domain.names.index(problem.domain.time)
        begin, whole = problem.domain.low[place], problem.domain.high[place]
        end = begin + (whole - begin) * self.stage(memory) / self.windows
        due = (points.at[:, place] <= end).astype(points.at.dtype)
        weights = due * len(due) / jnp.maximum(jnp.sum(due), 1.0)
        marched = objective.with_point_weights(dict.fromkeys(names, weights))
        return marched, memory + 1, {"trained until": end}
