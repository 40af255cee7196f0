"""Equations of evolution in one dimension of space."""

import math
from typing import ClassVar

from populace.core.settings import setting
from populace.physics.equations.equation import Equation
from populace.physics.geometry.box import Interval
from populace.physics.geometry.shape import Time
from populace.physics.problem.conditions import Dirichlet, Initial
from populace.physics.problem.expression import coordinate, field
from populace.physics.problem.operators import d, exp, sin
from populace.physics.problem.problem import Problem


class Heat(Equation):
    """u_t = D u_xx on [0, 1] for t in [0, 1], u = 0 at both ends, u(x, 0) = sin(pi x).

    The solution is exp(-D pi^2 t) sin(pi x).
    """

    kind: ClassVar[str] = "heat"

    diffusivity: float = setting(0.4, above=0, help="diffusivity D")

    def define(self) -> Problem:
        """Return the problem."""
        x, t, u = coordinate("x"), coordinate("t"), field("u")
        start = sin(math.pi * x)
        return Problem(
            Interval(0, 1) * Time(0, 1),
            {"heat": d(u, "t") - self.diffusivity * d(u, "x", "x")},
            [Dirichlet(u, 0.0), Initial(u, start)],
            {"u": exp(-self.diffusivity * math.pi**2 * t) * start},
        )
