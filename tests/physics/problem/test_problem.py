import numpy as np
import pytest

import populace.physics as ph
from populace.core.errors import UsageError

u, x = ph.field("u"), ph.coordinate("x")
LINE, SQUARE = ph.Interval(0, 1), ph.Rectangle((0, 0), (1, 2))
POISSON = ph.d(u, "x", "x") + 1


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: ph.Problem(LINE, []), "a problem needs at least one equation"),
        (lambda: ph.Problem(LINE, [x + 1]), "no equation names a field"),
        (lambda: ph.Problem(LINE, [ph.d(u, "y")]), "unknown coordinate 'y' in a derivative of 'equation'"),
        (lambda: ph.Problem(LINE, [u - ph.coordinate("s")]), "unknown coordinate 's'"),
        (
            lambda: ph.Problem(LINE, [POISSON * ph.field("x")]),
            "takes 'x' for a field, and it is a coordinate",
        ),
        (lambda: ph.Problem(LINE, [POISSON], [ph.Dirichlet(ph.field("v"))]), "unknown field 'v'"),
        (
            lambda: ph.Problem(LINE, [POISSON], [ph.Dirichlet(u, on="top")]),
            "unknown side 'top' of the geometry",
        ),
        (lambda: ph.Problem(LINE, [POISSON], [ph.Initial(u, 0)]), "multiply the geometry by Time"),
        (
            lambda: ph.Problem(LINE, [POISSON], [ph.Periodic(u, "y")]),
            "periodic along 'y': the coordinates are x",
        ),
        (lambda: ph.Problem(LINE, [POISSON], [ph.Dirichlet(u), ph.Dirichlet(u)]), "two terms of the loss"),
        (lambda: ph.Problem(LINE, [POISSON + ph.normal("x")]), "normals are on the boundary only"),
        (lambda: ph.Problem(LINE, [POISSON], exact={"w": 0.0}), "unknown field 'w' of the problem"),
        (lambda: ph.Problem(LINE, [POISSON], weights={"w": 2.0}), "unknown term 'w' of the loss"),
        (lambda: ph.Problem(LINE, [POISSON], hard={"u": (0, u)}), "hard conditions are made of coordinates"),
        (
            lambda: ph.Data(u, np.zeros((3, 1)), np.zeros((3, 1))),
            r"as many values \(n,\), got \[3, 1\] and \[3, 1\]",
        ),
        (lambda: ph.Data(u, [0.0], [np.nan]), "data must be finite"),
        (lambda: ph.Problem(LINE, [POISSON], [ph.Data(u, [0.5, 1.5], [0, 0])]), "1 data points lie outside"),
        (lambda: ph.Problem(SQUARE, [POISSON], [ph.Data(u, [0.5], [0])]), "data points have 1 coordinates"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(make, line: str) -> None:
    with pytest.raises(UsageError, match=line) as found:
        make()
    assert "\n" not in str(found.value)


def test_signs_of_conditions_on_an_asymmetric_problem() -> None:
    """For u = x^2 + 3 y on [0, 1] x [0, 2] the flux is -du/dx on the left and du/dy = 3 at the top."""
    from populace.physics.problem.expression import Values
    from populace.physics.problem.symbols import Derivative

    problem = ph.Problem(
        SQUARE,
        [ph.laplacian(u, ("x", "y")) - 2],
        [
            ph.Neumann(u, 2.0, on="right"),
            ph.Neumann(u, -3.0, on="bottom"),
            ph.Robin(u, 2.0, 1.0, 15.0, on="top"),
        ],
    )
    for term, point in zip(problem.terms[1:], [(1.0, 0.7), (0.4, 0.0), (0.0, 2.0)]):
        cube = np.asarray([[0.25]])
        _, normals = term.sides[0].place(cube)
        a, b = point
        known = {("u", ()): a**2 + 3 * b, ("u", ("x",)): 2 * a, ("u", ("y",)): 3.0}
        assert {(p.field, p.by) for p in term.residual.walk() if isinstance(p, Derivative)} <= set(known)
        at = Values({"x": a, "y": b}, known, {}, dict(zip("xy", normals[0])))
        assert abs(float(term.residual.value(at))) < 1e-6, term.name


def test_unknown_coefficients_are_found_also_in_conditions() -> None:
    h = ph.unknown_coefficient("h", 0.5, true=1.5)
    problem = ph.Problem(LINE, [POISSON], [ph.Robin(u, h, 1.0)])
    assert list(problem.unknowns) == ["h"]
    other = ph.unknown_coefficient("h", 0.1)
    with pytest.raises(UsageError, match="two unknown coefficients are called 'h'"):
        ph.Problem(LINE, [POISSON * other], [ph.Robin(u, h, 1.0)])
