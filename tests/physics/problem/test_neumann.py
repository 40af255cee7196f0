"""Fluxes on all sides: what no source balances is refused, what one does is compared up to a constant."""

import math

import numpy as np
import pytest

import populace as pop
import populace.physics as ph
from populace.core.errors import UsageError

U, X = ph.field("u"), ph.coordinate("x")


def test_fluxes_must_balance_the_source() -> None:
    """u = x^2 + 3 y on [0, 1] x [0, 2]: fluxes 0, 2, -3, 3, and a source of 2 everywhere."""
    domain = ph.Rectangle((0, 0), (1, 2))
    equation = 3.0 * ph.laplacian(U, ("x", "y")) - 6

    def problem(right: float, *more: ph.Dirichlet, source: float = 0.0) -> ph.Problem:
        sides = {"left": 0.0, "right": right, "bottom": -3.0, "top": 3.0}
        fluxes = [ph.Neumann(U, f, on=s) for s, f in sides.items()]
        return ph.Problem(domain, [equation + source], [*fluxes, *more])

    sound = problem(2.0)
    assert sound.up_to_constant == ("u",)
    ph.PINN(problem=sound).check()
    for wrong in (problem(3.0), problem(2.0, source=1.0)):
        with pytest.raises(UsageError, match="do not balance the source") as found:
            ph.PINN(problem=wrong).check()
        assert "\n" not in str(found.value)
    held = problem(3.0, ph.Dirichlet(U, 0.0, on="left", name="held"))
    assert held.up_to_constant == ()
    ph.PINN(problem=held).check()
    ring = ph.Disc((0, 0), 1.0) - ph.Disc((0.3, 0), 0.4)
    for flux, fits in ((-0.3, True), (0.3, False)):  # -Lap u = 1 and du/dn = -area / length = -0.84 / 2.8
        learner = ph.PINN(problem=ph.Problem(ring, [ph.laplacian(U, ("x", "y")) + 1], [ph.Neumann(U, flux)]))
        if fits:
            learner.check()
        else:
            with pytest.raises(UsageError, match="do not balance"):
                learner.check()


def test_what_is_known_up_to_a_constant_is_compared_without_it() -> None:
    problem = ph.Problem(
        ph.Interval(0, 1),
        [ph.d(U, "x", "x") + math.pi**2 * ph.sin(math.pi * X)],
        [ph.Neumann(U, -math.pi)],
        {"u": ph.sin(math.pi * X) + 17.0},
    )
    learner = ph.PINN(problem=problem, network=ph.MLP(hidden_sizes=(8,)), points=20, tolerance=5e-3)
    solution = ph.solve(pop.train(pop.sweep(learner, seeds=2), 60, checkpoint_selection="last"))
    assert solution.verdict == "solved", str(solution)
    assert np.abs(solution.mean.mean()) < 1e-9
    assert solution.disagreement < 0.02
