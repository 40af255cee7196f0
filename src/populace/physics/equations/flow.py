"""Flows of incompressible fluids."""

from typing import Any, ClassVar

from populace.core.settings import setting
from populace.physics.equations.equation import Equation
from populace.physics.geometry.box import Rectangle
from populace.physics.problem.conditions import Dirichlet
from populace.physics.problem.data import Data
from populace.physics.problem.operators import d, exp, laplacian
from populace.physics.problem.problem import Problem
from populace.physics.problem.symbols import coordinate, field
from populace.physics.references.cavity import cavity


class Cavity(Equation):
    """Steady flow in the unit square whose lid y = 1 moves with u = 1; all other walls stand still.

        u u_x + v u_y + p_x = (u_xx + u_yy) / Re
        u v_x + v v_y + p_y = (v_xx + v_yy) / Re
        u = psi_y,   v = -psi_x

    The streamfunction psi is 0 on the walls by construction, and no fluid is lost whatever the weights are;
    the pressure is 0 in the lower left corner. psi is compared with finite differences. In the two corners
    where lid and walls meet u jumps and the pressure is infinite: the equations are multiplied by a factor 1
    - exp(-r^2 / 0.1^2) of the distance r to each, the lid's condition by one of 0.03, so that points there do
    not outweigh all others. Source: Ghia, Ghia and Shin 1982.
    """

    kind: ClassVar[str] = "cavity"

    reynolds: float = setting(100.0, above=0, static=True, help="Reynolds number Re")

    def define(self) -> Problem:
        """Return the problem."""
        x, y, psi, p = coordinate("x"), coordinate("y"), field("psi"), field("p")
        u, v, reynolds = d(psi, "y"), -d(psi, "x"), float(self.reynolds)

        def momentum(along: Any) -> Any:
            carried = u * d(along, "x") + v * d(along, "y")
            return carried - laplacian(along, ("x", "y")) / reynolds

        def away(length: float) -> Any:
            corners = (x**2 + (y - 1) ** 2, (x - 1) ** 2 + (y - 1) ** 2)
            one, other = (1 - exp(-squares / length**2) for squares in corners)
            return one * other

        return Problem(
            Rectangle((0, 0), (1, 1)),
            {
                "momentum x": away(0.1) * (momentum(u) + d(p, "x")),
                "momentum y": away(0.1) * (momentum(v) + d(p, "y")),
            },
            [
                Dirichlet(away(0.03) * (u - 1), 0.0, on="top", name="lid"),
                Dirichlet(u, 0.0, on="bottom", name="floor"),
                Dirichlet(v, 0.0, on=("left", "right"), name="sides"),
                Data(p, [[0.0, 0.0]], [0.0], name="pressure"),
            ],
            {"psi": lambda at: cavity(at["x"], at["y"], reynolds)},
            hard={"psi": (0.0, 16 * x * (1 - x) * y * (1 - y))},
        )
