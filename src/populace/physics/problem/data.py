"""Measured values of a field, or of any expression, at points."""

from typing import Any

import numpy as np
from jax.core import Tracer

from populace.core.errors import UsageError
from populace.physics.geometry.shape import Geometry
from populace.physics.problem.conditions import _named
from populace.physics.problem.expression import expression
from populace.physics.problem.term import Condition, Term


class Data(Condition):
    """`of` was measured at points.

    Args:
        of: a field or an expression.
        points: (n, d), the coordinates in the order of the domain; (n,) where there is one.
        values: (n,), exactly: nothing is broadcast.
        noise: standard deviation of the errors, where it is known.
        name: of the term.

    Raises:
        UsageError: shapes that do not fit each other, or numbers that are not finite.

    """

    def __init__(self, of: Any, points: Any, values: Any, noise: Any = None, name: str = "") -> None:
        self.of, self.noise, self.name = expression(of), noise, name or _named("data", _Of(of))
        self.points = np.asarray(points, float)
        # A named equation may make its data inside a program, where only shapes are known.
        self.values = values if isinstance(values, Tracer) else np.asarray(values, float)
        if self.points.ndim == 1:
            self.points = self.points[:, None]
        if self.points.ndim != 2 or self.values.shape != (len(self.points),):
            raise UsageError(
                f"data need points (n, d) and as many values (n,), got {list(np.shape(points))} and "
                f"{list(np.shape(values))}"
            )
        known = not isinstance(values, Tracer)
        if not (np.isfinite(self.points).all() and (not known or np.isfinite(self.values).all())):
            raise UsageError("data must be finite; leave out what was not measured")
        if isinstance(noise, int | float) and not (np.isfinite(noise) and noise > 0):
            raise UsageError(f"noise of data must be > 0, got {noise}")

    def terms(self, domain: Geometry) -> list[Term]:
        """Return one term."""
        if self.points.shape[1] != len(domain.names):
            raise UsageError(
                f"data points have {self.points.shape[1]} coordinates, and the domain has "
                f"{len(domain.names)}: {', '.join(domain.names)}"
            )
        slack = 1e-9 * np.maximum(1.0, np.abs(domain.high - domain.low))
        inside = (self.points >= domain.low - slack) & (self.points <= domain.high + slack)
        outside = ~inside.all(1) | ~np.asarray(domain.contains(np.clip(self.points, domain.low, domain.high)))
        if outside.any():
            first = self.points[np.argmax(outside)]
            where = ", ".join(f"{n} {v:g}" for n, v in zip(domain.names, first))
            raise UsageError(f"{outside.sum()} data points lie outside the domain, the first at {where}")
        return [Term(self.name, self.of, "data", (), self.points, self.values, self.noise)]


class _Of:
    """What `_named` reads of a condition."""

    on = "boundary"

    def __init__(self, of: Any) -> None:
        self.of = expression(of)
