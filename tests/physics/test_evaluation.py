import jax
import numpy as np

import populace.physics as ph
from populace.physics.evaluation import not_finite
from populace.physics.objective import Model


def test_a_residual_that_is_not_finite_is_named_with_its_place() -> None:
    u, x = ph.field("u"), ph.coordinate("x")
    problem = ph.Problem(ph.Interval(0, 1), {"root": ph.d(u, "x") - (x - 0.5) ** 0.5}, [ph.Dirichlet(u)])
    learner = ph.PINN(problem=problem, points=8, sampling="grid", dtype="float32")
    model = Model(lambda columns: 2 * columns, {})
    found = not_finite(problem, model, learner.draw(jax.random.key(0)))
    assert found == "the residual of 'root' is not finite at 4 of 8 points, the first at x 0.0625"
    sound = ph.Problem(ph.Interval(0.5, 1), problem.equations, [ph.Dirichlet(u)])
    sound = ph.PINN(problem=sound, points=8, sampling="grid", dtype="float32")
    assert not not_finite(sound.defined, model, sound.draw(jax.random.key(0)))
    points = np.zeros((1, 1))
    solution = ph.Solution(
        points, ("u",), np.zeros((0, 1, 1)), None, np.zeros(0), {}, [], 1, 1e-3, (found,)
    )  # fmt: skip
    assert str(solution) == f"not solved: 1 members, 1 diverged; {found}"


def test_a_report_has_the_verdict() -> None:
    known = ph.PINN(tolerance=1e-2)
    errors = {"error": np.asarray([1e-3, 5e-3, 1.0, np.nan])}
    assert known.caveats(errors)[0].startswith("Verdict: solved.")
    assert known.caveats({"error": errors["error"][1:]})[0].startswith("Verdict: not solved.")
    u = ph.field("u")
    unknown = ph.PINN(problem=ph.Problem(ph.Interval(0, 1), [ph.d(u, "x") - u]))
    notes = unknown.caveats({"variation": np.asarray([1e-9, 1e-9, 0.3])})
    assert len(notes) == 2
    assert "nearly constant" in notes[1]
    assert len(unknown.caveats({"variation": np.asarray([1e-9, 0.4, 0.3])})) == 1
