"""Flows of incompressible fluids."""

from typing import Any, ClassVar

from populace.core.settings import setting
from populace.physics.equations.equation import Equation
from populace.physics.geometry.box import Rectangle
from populace.physics.problem.conditions import Dirichlet
from populace.physics.problem.data import Data
from populace.physics.problem.operators import d, div, laplacian
from populace.physics.problem.problem import Problem
from populace.physics.problem.symbols import field
from populace.physics.references.cavity import cavity


class Cavity(Equation):
    """Steady flow in the unit square whose lid y = 1 moves with u = 1; all other walls stand still.

        u u_x + v u_y + p_x = (u_xx + u_yy) / Re
        u v_x + v v_y + p_y = (v_xx + v_yy) / Re
        u_x + v_y = 0

    The pressure is 0 in the lower left corner. Velocities are compared with finite differences; where lid and
    walls meet, u jumps. Source: Ghia, Ghia and Shin 1982.
    """

    kind: ClassVar[str] = "cavity"

    reynolds: float = setting(100.0, above=0, static=True, help="Reynolds number Re")

    def define(self) -> Problem:
        """Return the problem."""
        u, v, p, reynolds = field("u"), field("v"), field("p"), float(self.reynolds)
        plane = ("x", "y")

        def momentum(along: Any) -> Any:
            return u * d(along, "x") + v * d(along, "y") - laplacian(along, plane) / reynolds

        walls = ("left", "right", "bottom")
        return Problem(
            Rectangle((0, 0), (1, 1)),
            {
                "momentum x": momentum(u) + d(p, "x"),
                "momentum y": momentum(v) + d(p, "y"),
                "continuity": div((u, v), plane),
            },
            [
                Dirichlet(u, 1.0, on="top", name="lid"),
                Dirichlet(u, 0.0, on=walls, name="walls u"),
                Dirichlet(v, 0.0, name="walls v"),
                Data(p, [[0.0, 0.0]], [0.0], name="pressure"),
            ],
            {
                "u": lambda at: cavity(at["x"], at["y"], reynolds)[0],
                "v": lambda at: cavity(at["x"], at["y"], reynolds)[1],
            },
        )
