"""Elliptic equations: Poisson's in one and two dimensions, and Helmholtz's."""

import math
from typing import ClassVar

from populace.core.settings import setting
from populace.physics.equations.equation import Equation
from populace.physics.geometry.box import Interval, Rectangle
from populace.physics.problem.conditions import Dirichlet
from populace.physics.problem.operators import d, laplacian, sin
from populace.physics.problem.problem import Problem
from populace.physics.problem.symbols import coordinate, field


class Poisson1D(Equation):
    """-u'' = (k pi)^2 sin(k pi x) on [0, 1], u = 0 at both ends; u(x) = sin(k pi x)."""

    kind: ClassVar[str] = "poisson-1d"

    waves: float = setting(2.0, above=0, help="half waves k on the interval, a whole number")

    def define(self) -> Problem:
        """Return the problem."""
        x, u, k = coordinate("x"), field("u"), math.pi * self.waves
        solution = sin(k * x)
        return Problem(
            Interval(0, 1),
            {"poisson": d(u, "x", "x") + k * k * solution},
            [Dirichlet(u, solution)],
            {"u": solution},
        )


class Poisson2D(Equation):
    """-(u_xx + u_yy) = 2 pi^2 sin(pi x) sin(pi y) on the unit square, u = 0 on its sides."""

    kind: ClassVar[str] = "poisson-2d"

    def define(self) -> Problem:
        """Return the problem; its solution is sin(pi x) sin(pi y)."""
        x, y, u = coordinate("x"), coordinate("y"), field("u")
        solution = sin(math.pi * x) * sin(math.pi * y)
        return Problem(
            Rectangle((0, 0), (1, 1)),
            {"poisson": laplacian(u, ("x", "y")) + 2 * math.pi**2 * solution},
            [Dirichlet(u, 0.0)],
            {"u": solution},
        )


class Helmholtz(Equation):
    """u_xx + u_yy + k^2 u = f on [-1, 1]^2, u = 0 on its sides, with the solution sin(pi x) sin(4 pi y).

    f = (k^2 - pi^2 - 16 pi^2) sin(pi x) sin(4 pi y). Source: Wang, Teng and Perdikaris 2021, "Understanding
    and mitigating gradient flow pathologies in physics-informed neural networks" (a1 = 1, a2 = 4, k = 1).
    """

    kind: ClassVar[str] = "helmholtz"

    wavenumber: float = setting(1.0, low=0, help="wave number k")
    waves_x: float = setting(
        1.0, above=0, help="half waves from the center to a side along x, a whole number"
    )
    waves_y: float = setting(
        4.0, above=0, help="half waves from the center to a side along y, a whole number"
    )

    def define(self) -> Problem:
        """Return the problem."""
        x, y, u = coordinate("x"), coordinate("y"), field("u")
        a, b, k2 = math.pi * self.waves_x, math.pi * self.waves_y, self.wavenumber * self.wavenumber
        solution = sin(a * x) * sin(b * y)
        return Problem(
            Rectangle((-1, -1), (1, 1)),
            {"helmholtz": laplacian(u, ("x", "y")) + k2 * u + (a * a + b * b - k2) * solution},
            [Dirichlet(u, 0.0)],
            {"u": solution},
        )
