"""Equations of evolution in one dimension of space."""

import math
from typing import ClassVar

from populace.core.settings import setting
from populace.physics.equations.equation import Equation
from populace.physics.geometry.box import Interval
from populace.physics.geometry.shape import Time
from populace.physics.problem.conditions import Dirichlet, Initial
from populace.physics.problem.operators import cos, d, exp, sin
from populace.physics.problem.problem import Problem
from populace.physics.problem.symbols import coordinate, field
from populace.physics.references.cole_hopf import burgers
from populace.physics.references.integrated import allen_cahn


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


class Wave(Equation):
    """u_tt = c^2 u_xx on [0, 1] for t in [0, 1], u = 0 at both ends, u_t = 0 at the start.

    u(x, 0) = sin(pi x) + sin(2 pi x) / 2, which makes
    u(x, t) = sin(pi x) cos(c pi t) + sin(2 pi x) cos(2 c pi t) / 2.
    """

    kind: ClassVar[str] = "wave"

    speed: float = setting(1.0, above=0, help="speed c")

    def define(self) -> Problem:
        """Return the problem."""
        x, t, u, c = coordinate("x"), coordinate("t"), field("u"), self.speed
        one, two = sin(math.pi * x), 0.5 * sin(2 * math.pi * x)
        return Problem(
            Interval(0, 1) * Time(0, 1),
            {"wave": d(u, "t", "t") - c * c * d(u, "x", "x")},
            [Dirichlet(u, 0.0), Initial(u, one + two, rate=0.0)],
            {"u": one * cos(c * math.pi * t) + two * cos(2 * c * math.pi * t)},
        )


class Burgers(Equation):
    """u_t + u u_x = nu u_xx on [-1, 1] for t in [0, 1], u = 0 at both ends, u(x, 0) = -sin(pi x).

    A front steepens at x = 0 to a width of about nu. Compared with the solution of Cole and Hopf.
    """

    kind: ClassVar[str] = "burgers"

    viscosity: float = setting(0.01 / math.pi, above=0, help="viscosity nu")
    by_construction: bool = setting(True, help="start and ends hold by construction, not as terms")

    def define(self) -> Problem:
        """Return the problem."""
        x, t, u, nu = coordinate("x"), coordinate("t"), field("u"), self.viscosity
        start = -sin(math.pi * x)
        return Problem(
            Interval(-1, 1) * Time(0, 1),
            {"burgers": d(u, "t") + u * d(u, "x") - nu * d(u, "x", "x")},
            [] if self.by_construction else [Dirichlet(u, 0.0), Initial(u, start)],
            {"u": lambda at: burgers(at["x"], at["t"], nu)},
            hard={"u": (start, t * (1 - x**2))} if self.by_construction else None,
        )


class AllenCahn(Equation):
    """u_t = D u_xx + 5 (u - u^3) on [-1, 1] for t in [0, 1], u = -1 at both ends, u(x, 0) = x^2 cos(pi x).

    Fronts of width about sqrt(D) grow between -1 and 1. Compared with a spectral solution, good to 1e-6 for D
    of 1e-3 or more. Source: the Allen-Cahn example of DeepXDE.
    """

    kind: ClassVar[str] = "allen-cahn"

    diffusivity: float = setting(1e-3, above=0, static=True, help="diffusivity D")

    def define(self) -> Problem:
        """Return the problem; start and ends hold by construction."""
        x, t, u, width = coordinate("x"), coordinate("t"), field("u"), float(self.diffusivity)
        start = x**2 * cos(math.pi * x)
        return Problem(
            Interval(-1, 1) * Time(0, 1),
            {"allen-cahn": d(u, "t") - width * d(u, "x", "x") - 5 * (u - u**3)},
            exact={"u": lambda at: allen_cahn(at["x"], at["t"], width)},
            hard={"u": (start, t * (1 - x**2))},
        )
