"""Points that change as it trains: drawn anew, or where the residual is large."""

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from populace.core.settings import Settings, setting
from populace.physics.objective import Model, evaluate
from populace.physics.problem.problem import Problem
from populace.physics.problem.term import Points
from populace.physics.sampling.sampler import counted, interior


class Plan(NamedTuple):
    """How points are drawn at the start.

    Attributes:
        method: one of `sampling.cube.METHODS`.
        size: points inside.
        dtype: of the points.

    """

    method: str
    size: int
    dtype: Any


class Resampling(Settings):
    """How the points inside change after every `resample_steps` iterations."""

    @property
    def room(self) -> int:
        """Places for points that are added while it trains."""
        return 0

    @property
    def keeps_conditions(self) -> bool:
        """Whether points of conditions stay as they are; else they are drawn anew."""
        return False

    @abstractmethod
    def inside(
        self, problem: Problem, model: Model, points: Points, plan: Plan, number: Any, key: jax.Array
    ) -> Points:
        """Return the points inside.

        Args:
            problem: what is to be solved.
            model: as far as it is trained.
            points: those until now.
            plan: how they were drawn at the start.
            number: how often points have changed, this time included: 1, 2, ...
            key: for the draw.

        """


class Anew(Resampling):
    """All of them by the same method, whatever the residual is."""

    kind: ClassVar[str] = "anew"

    def inside(
        self, problem: Problem, model: Model, points: Points, plan: Plan, number: Any, key: jax.Array
    ) -> Points:
        """Return other points."""
        del model, number
        at = interior(problem.domain, plan.method, plan.size, key, plan.dtype)
        return points._replace(at=at, partners=at)


class RAD(Resampling):
    """Residual-based adaptive distribution: all points from a density that grows with the residual.

    Of uniform candidates x with residuals e(x), `points` are drawn without replacement with

        p(x) proportional to e(x)^power / mean(e^power) + constant

    Source: Wu, Zhu, Tan, Kartha and Lu 2023, "A comprehensive study of non-adaptive and residual-based
    adaptive sampling for physics-informed neural networks", who recommend power = constant = 1.
    """

    kind: ClassVar[str] = "rad"

    power: float = setting(1.0, low=0, help="power of the residual")
    constant: float = setting(1.0, low=0, help="share that is uniform; 0 for points by the residual alone")
    candidates: int = setting(4000, low=1, help="uniform points that those of training are drawn from")

    def inside(
        self, problem: Problem, model: Model, points: Points, plan: Plan, number: Any, key: jax.Array
    ) -> Points:
        """Return points of that density."""
        del number
        keys = jax.random.split(key)
        found = interior(problem.domain, "uniform", max(self.candidates, len(points.at)), keys[0], plan.dtype)
        chance = density(residual_size(problem, model, found), self.power, self.constant)
        rows = jax.random.choice(keys[1], len(found), (len(points.at),), replace=False, p=chance)
        return points._replace(at=found[rows], partners=found[rows])


class RAR(Resampling):
    """Residual-based adaptive refinement: the candidates with the largest residuals are added.

    Each time `added` points, until there are `most` of them; every point counts the same in the loss.

    Source: Lu, Meng, Mao and Karniadakis 2021, "DeepXDE: a deep learning library for solving differential
    equations".
    """

    kind: ClassVar[str] = "rar"

    added: int = setting(10, low=1, help="points that are added each time")
    most: int = setting(100, low=1, help="points that are added in all")
    candidates: int = setting(4000, low=1, help="uniform points that the largest residuals are looked for in")

    @property
    def room(self) -> int:
        """Places for all that are added."""
        return self.most

    @property
    def keeps_conditions(self) -> bool:
        """Points of conditions stay."""
        return True

    def inside(
        self, problem: Problem, model: Model, points: Points, plan: Plan, number: Any, key: jax.Array
    ) -> Points:
        """Return the points with those added, or as they were where all are."""
        found = interior(problem.domain, "uniform", max(self.candidates, self.added), key, plan.dtype)
        worst = found[jax.lax.top_k(residual_size(problem, model, found), self.added)[1]]
        total, begin = len(points.at), len(points.at) - self.most
        before = jnp.minimum((number - 1) * self.added, self.most)
        place = jnp.arange(total, dtype=jnp.int32) - (begin + before)
        # The last time there may be fewer places than points.
        new = (place >= 0) & (place < self.added)
        at = jnp.where(new[:, None], worst[jnp.clip(place, 0, self.added - 1)], points.at)
        weights = counted(total, begin + jnp.minimum(before + self.added, self.most), plan.dtype)
        return points._replace(at=at, partners=at, weights=weights)


def residual_size(problem: Problem, model: Model, at: Any) -> jax.Array:
    """Return the root of the summed squares of the equations' residuals, (n,) float32; 0 where not finite."""
    squares = [
        problem.weights.get(name, 1.0) * evaluate(problem, model, e, at) ** 2
        for name, e in problem.equations.items()
    ]
    size = jnp.sqrt(jnp.sum(jnp.stack(squares), 0)).astype(jnp.float32)
    return jnp.where(jnp.isfinite(size), size, 0.0)


def density(size: jax.Array, power: Any, constant: Any) -> jax.Array:
    """Return probabilities of points by the size of their residuals, as RAD has them; they sum to 1."""
    raised = size**power
    mean = jnp.mean(raised)
    weights = raised / jnp.where(mean > 0, mean, 1.0) + jnp.where(mean > 0, constant, 1.0)
    return weights / jnp.sum(weights)
