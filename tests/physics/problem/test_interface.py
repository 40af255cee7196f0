"""Two materials: fields meet, and fluxes are equal."""

import jax
import numpy as np
import pytest

import populace as pop
import populace.physics as ph
from populace.core.errors import UsageError
from tests.harness import trained

U, V, X = ph.field("u"), ph.field("v"), ph.coordinate("x")


def test_two_rods_of_different_conductivity() -> None:
    """-(k u')' = 0 with k = 1 up to 0.4 and 3 beyond, u(0) = 0, u(1) = 1: the flux is 1 / (0.4 + 0.6 / 3)."""
    left, q = ph.Interval(0, 0.4), 1 / 0.6
    inside = ph.indicator(left)

    def where(part: bool, value) -> object:
        return lambda at: jax.numpy.where((at["x"] <= 0.4) == part, value(at["x"]), jax.numpy.nan)

    problem = ph.Problem(
        ph.Interval(0, 1),
        {"left": inside * ph.d(U, "x", "x"), "right": (1 - inside) * 3 * ph.d(V, "x", "x")},
        [
            ph.Dirichlet(U, 0.0, on="left"),
            ph.Dirichlet(V, 1.0, on="right"),
            ph.Interface(U, V, left, inner_factor=1.0, outer_factor=3.0),
        ],
        {"u": where(True, lambda x: q * x), "v": where(False, lambda x: 1 - q * (1 - x) / 3)},  # pyright: ignore
    )
    learner = ph.PINN(problem=problem, network=ph.MLP(hidden_sizes=(6,)), points=20, condition_weight=10.0)
    found = trained(pop.sweep(learner, seeds=2), 40).evaluate().metrics
    assert (found["error"] < 1e-3).all(), found


def test_an_interface_is_what_lies_inside_the_domain_with_normals_out_of_its_region() -> None:
    domain = ph.Rectangle((0, 0), (2, 1)) * ph.Time(0, 1)
    part = ph.Rectangle((0, 0), (0.5, 1))
    values, fluxes = ph.Interface(U, V, part, 2.0, 5.0, flux_jump=1.0).terms(domain)
    assert [side.name for side in values.sides] == ["right"]
    points, normals = values.sides[0].place(np.asarray([[0.3, 0.6]]))
    assert np.allclose(points, [[0.5, 0.3, 0.6]])
    assert np.allclose(normals, [[1.0, 0.0, 0.0]])
    from populace.physics.problem.expression import Values

    slopes = {("u", ("x",)): 3.0, ("u", ("y",)): 9.0, ("v", ("x",)): 0.5, ("v", ("y",)): 9.0}
    at = Values({}, slopes, {}, dict(zip("xy", normals[0])))
    assert float(fluxes.residual.value(at)) == 2 * 3.0 - 5 * 0.5 - 1.0
    with pytest.raises(UsageError, match="boundary lies inside the domain"):
        ph.Interface(U, V, ph.Rectangle((0, 0), (2, 1))).terms(domain)
    with pytest.raises(UsageError, match="the region of an interface is in x, and the domain in x, y"):
        ph.Interface(U, V, ph.Interval(0, 1)).terms(domain)
