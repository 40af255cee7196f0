"""Small problems whose answers are known."""

import math

import populace.physics as ph


def line(*, hard: bool = False) -> ph.Problem:
    """u'' = -pi^2 sin(pi x) on [0, 1], not symmetric: u(0) = 0, u'(1) = 1 - pi."""
    x, u = ph.coordinate("x"), ph.field("u")
    solution = ph.sin(math.pi * x) + x
    conditions = [] if hard else [ph.Dirichlet(u, 0.0, on="left")]
    return ph.Problem(
        ph.Interval(0, 1),
        {"poisson": ph.d(u, "x", "x") + math.pi**2 * ph.sin(math.pi * x)},
        [*conditions, ph.Neumann(u, 1 - math.pi, on="right")],
        {"u": solution},
        hard={"u": (0.0, x)} if hard else None,
    )
