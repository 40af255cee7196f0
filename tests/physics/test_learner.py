"""The learner of physics-informed networks: known answers, the engine's invariants, float64 for it alone."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import populace as pop
import populace.physics as ph
from populace.core.errors import UsageError
from populace.core.numerics.precision import precision
from populace.recipes import names, text
from populace.runs.recipe.parsing import parse
from tests.harness import check_learner, states, trained
from tests.physics.problems import line

SMALL = ph.MLP(hidden_sizes=(8,))


def probe(**settings) -> ph.PINN:
    return ph.PINN(problem=line(), **{"network": SMALL, "points": 24, "condition_weight": 10.0} | settings)


@pytest.mark.parametrize(
    ("solver", "steps", "error"),
    [(ph.LevenbergMarquardt(), 120, 5e-4), (ph.LBFGS(memory_size=20), 250, 3e-3)],
    ids=["levenberg-marquardt", "l-bfgs"],
)
def test_second_order_rules_solve_a_problem_and_never_raise_the_loss(
    solver: ph.Solver, steps: int, error: float
) -> None:
    heard: list[np.ndarray] = []

    class Watch(pop.Callback):
        def on_window(self, window: pop.Window) -> None:
            heard.append(window.metrics["loss"])

    learner = probe(solver=solver)
    engine = trained(pop.sweep(learner, seeds=3), 1, "vmap")
    engine.callbacks = [Watch()]
    engine.train(steps, window=1, evaluate_every=steps)
    losses = np.stack(heard)
    assert (np.diff(losses, axis=0) <= 1e-7 * losses[:-1]).all()  # losses are told in float32
    found = engine.evaluate().metrics
    assert np.median(found["error"]) < error
    assert engine.group_states[0].carry.state.model.network.layers[0].weight.dtype == jnp.float64
    assert jnp.zeros(1).dtype == jnp.float32  # the rest of the process is as it was


def test_adam_with_fresh_points_descends_in_float32() -> None:
    learner = probe(solver=ph.NoSolver(), dtype="float32", learning_rate=1e-2, resample_steps=50)
    engine = trained(pop.sweep(learner, seeds=2), 600, "map")
    assert (engine.evaluate().metrics["error"] < 0.1).all()
    points = [leaf for leaf in states(engine)[0] if leaf.shape == (24, 1)]
    assert {leaf.dtype for leaf in points} == {np.dtype("float32")}


def test_hard_conditions_hold_before_any_step() -> None:
    learner = ph.PINN(problem=line(hard=True), network=SMALL, points=16)
    engine = trained(pop.sweep(learner), 1, "map")
    member = engine.group_states[0].best_model(0)
    at_zero = learner.predict(member, np.asarray([[0.0], [0.5]]))
    assert at_zero[0, 0] == 0.0
    assert at_zero[1, 0] != 0.0
    with pytest.raises(UsageError, match=r"points must be \(N, 1\): x; got \[2, 2\]"):
        learner.predict(member, np.zeros((2, 2)))


def test_it_is_a_learner(tmp_path: Path) -> None:
    learner = ph.PINN(
        equation=ph.Heat(), network=SMALL, points=12, boundary_points=4, initial_points=4,
        resample_steps=3, resampling=ph.RAD(candidates=50), balance=ph.GradientNorm(every=3),
        in_time=ph.Causal(slices=3),
    )  # fmt: skip
    with precision(True):  # the checks themselves copy states, which are of 64 bits
        check_learner(learner, {"condition_weight": [1.0, 20.0]}, 9, tmp_path)


def test_a_run_says_whether_it_is_solved_and_reads_back_in_float64(tmp_path: Path) -> None:
    learner = probe(tolerance=1e-3)
    population = pop.sweep(learner, seeds=3)
    run = pop.train(population, 60, out=tmp_path / "run", strategy="vmap", final_evaluation_size=500)
    found = ph.solve(run)
    assert found.verdict == "solved"
    assert str(found).startswith("solved: 3 members, ")
    assert found.members.shape == (3, len(found.points), 1)
    assert found.members.dtype == np.float64
    again = pop.Run.load(tmp_path / "run", learner)
    x = np.linspace(0, 1, 7)
    true = np.sin(np.pi * x) + x
    member = again.best()
    assert np.abs(member.predict(x)[:, 0] - true).max() < 5e-3
    assert np.array_equal(member.predict(x), run.best().predict(x))
    saved = member.save(tmp_path / "member")
    assert np.array_equal(pop.load_trained(saved, learner).predict(x), member.predict(x))
    pictures = member.visualize()
    assert set(pictures) == {"u"}
    assert pictures["u"].caption.startswith("Field u; training ended because")
    assert again.results()["score"]["name"] == "error"
    not_enough = ph.solve(run)
    object.__setattr__(not_enough, "tolerance", 1e-12)
    assert not_enough.verdict == "not solved"


def test_without_an_exact_solution_members_agree_or_disagree_and_zero_is_warned_of() -> None:
    points, residual = np.zeros((4, 1)), np.full(3, 1e-9)
    base = np.asarray([0.0, 1.0, 2.0, 1.0])[:, None]

    def verdict(members: np.ndarray, error: np.ndarray | None = None, diverged: int = 0) -> str:
        return ph.Solution(points, ("u",), members, error, residual, {}, [], diverged, 1e-3).verdict

    assert verdict(np.stack([base, base, base])) == "members agree"
    assert verdict(np.stack([base, base, -base])) == "members disagree"
    assert verdict(np.zeros((3, 4, 1))) == "not solved"  # however small the residual
    assert verdict(np.stack([base] * 3), np.asarray([1e-4, 1e-4, 1.0])) == "solved"
    assert verdict(np.stack([base] * 3), np.asarray([1e-4, 1e-4, 1.0]), diverged=2) == "not solved"
    assert verdict(np.zeros((0, 4, 1)), np.zeros(0), diverged=3) == "not solved"


def test_recipes_name_problems_that_can_be_made() -> None:
    known = [name for name in names() if 'kind = "pinn"' in text(name)]
    assert {"poisson-1d", "poisson-2d", "heat", "oscillator"} <= set(known)
    for name in known:
        recipe = parse(text(name), name)
        recipe.learner.check()
        assert recipe.learner.defined.exact or recipe.learner.score == "residual"  # pyright: ignore


def test_a_diverging_member_leaves_the_others_as_they_are() -> None:
    learner = probe(solver=ph.NoSolver(), dtype="float32")
    both = trained(pop.sweep(learner, {"learning_rate": [1e-3, 1e30]}), 5, "map")
    alone = trained(pop.sweep(probe(solver=ph.NoSolver(), dtype="float32", learning_rate=1e-3)), 5, "map")
    assert both.diverged_at().tolist()[0] == -1
    assert both.diverged_at()[1] > 0
    for one, other in zip(states(both)[0], states(alone)[0]):
        assert one.tobytes() == other.tobytes()


def test_keys_of_jax_are_not_changed_by_the_switch() -> None:
    with precision(True):
        wide = np.asarray(jax.random.uniform(jax.random.key(0), (3,), jnp.float32))
    assert np.array_equal(wide, np.asarray(jax.random.uniform(jax.random.key(0), (3,))))
