"""Weights that follow the training, against NumPy."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import populace as pop
import populace.physics as ph
from populace.core.errors import UsageError
from populace.physics.objective import Model, Objective
from populace.physics.optimisers.solver import Progress
from populace.physics.sampling.draw import draw
from populace.physics.weighting.balance import shares
from tests.harness import only_trained
from tests.physics.problems import line

HEAT = ph.Heat().define()


def objective(problem: ph.Problem, weights: dict[str, Any]) -> tuple[Objective, Model]:
    points = draw(problem, "uniform", (40, 6, 5), jax.random.key(0), "float64")
    network = ph.MLP(hidden_sizes=(4,)).build(problem.domain, 1, key=jax.random.key(1), dtype="float64")
    return Objective(problem, points, weights), Model(network, {})


def test_terms_are_weighted_by_the_norms_of_their_gradients_and_by_their_kernels() -> None:
    with jax.enable_x64(True):
        loss, model = objective(line(), {"poisson": 7.0})
        flat, unravel = ravel_pytree(model)
        rules = (ph.GradientNorm(momentum=0.75), ph.NTK(momentum=0.0))
        starts = [rule.init(loss.points, "float64") for rule in rules]

        @jax.jit
        def found(flat: jax.Array) -> tuple:
            model = unravel(flat)
            updates = [rule.update(start, loss, model) for rule, start in zip(rules, starts)]
            return updates, loss.residuals(model)

        (norms, kernels), _ = found(flat)
        step, rows = 1e-6, {}
        moved = [[found(flat.at[k].add(s))[1] for s in (step, -step)] for k in range(len(flat))]
        residuals = found(flat)[1]
        for name in residuals:
            rows[name] = np.stack([(np.asarray(a[name]) - b[name]) / (2 * step) for a, b in moved], 1)
    gradients = {n: np.linalg.norm(2 * np.asarray(residuals[n]) @ r / len(r)) for n, r in rows.items()}
    traces = {n: np.sum(r**2) / len(r) for n, r in rows.items()}
    for name in rows:
        assert np.isclose(norms[name], 0.75 + 0.25 * sum(gradients.values()) / gradients[name], rtol=1e-5)
        assert np.isclose(kernels[name], sum(traces.values()) / traces[name], rtol=1e-5)
    even = shares({"a": jnp.float32(0.0), "b": jnp.float32(3.0), "c": jnp.float32(jnp.nan)})
    assert [float(v) for v in even.values()] == [1.0, 1.0, 1.0]


def test_factors_of_points_climb_the_loss_by_adam() -> None:
    rule = ph.SelfAdaptive(rate=0.1)
    learner = ph.PINN(equation=ph.Heat(), balance=rule, points=40, solver=ph.NoSolver())

    @jax.jit
    def twice(memory: Any, model: Model, points: Any) -> Any:
        seen = []
        for scale in (1.0, 3.0):
            changed = {
                n: p._replace(weights=p.weights * rule.factors(memory)[n]) for n, p in points.items()
            }  # fmt: skip
            memory = rule.ascend(memory, Objective(HEAT, changed, {"heat": scale}), model)
            seen.append(memory[0])
        return seen, Objective(HEAT, points, {}).residuals(model)

    with jax.enable_x64(True):
        loss, model = objective(HEAT, {})
        seen, residuals = twice(rule.init(loss.points, "float64"), model, loss.points)
    r = np.asarray(residuals["heat"])
    root, first, second = np.ones(40), np.zeros(40), np.zeros(40)
    for t, scale in enumerate((1.0, 3.0), 1):
        up = scale * 2 * root * r**2 / 40
        first, second = 0.9 * first + 0.1 * up, 0.999 * second + 0.001 * up**2
        root = root + 0.1 * (first / (1 - 0.9**t)) / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)
        assert np.allclose(seen[t - 1]["heat"], root, rtol=1e-6)
    assert (root > 1).all()
    engine = only_trained(pop.sweep(learner, seeds=1), 3)
    factors = engine.group_states[0].state().balance[0]["heat"]
    assert (np.asarray(factors) > 1).all()


def test_causal_weights_fall_with_what_earlier_slices_have_left() -> None:
    rule = ph.Causal(slices=4, tolerances=(0.5, 2.0), threshold=0.9)

    @jax.jit
    def found(model: Model, memory: Any) -> Any:
        causal, after, seen = rule.weighted(loss, model, memory)
        return causal.points["heat"].weights, after, seen, loss.residuals(model)["heat"]

    with jax.enable_x64(True):
        loss, model = objective(HEAT, {})
        weights, after, seen, residuals = found(model, jnp.int32(1))
        time = np.asarray(loss.points["heat"].at)[:, 1]
        none, later, _, _ = found(jax.tree.map(jnp.zeros_like, model), rule.init())
    part = (time * 4).astype(int)
    losses = np.asarray([np.mean(np.asarray(residuals)[part == i] ** 2) for i in range(4)])
    by_hand = np.exp(-2.0 * np.asarray([losses[:i].sum() for i in range(4)]))
    assert np.allclose(weights, by_hand[part], rtol=1e-10)
    assert np.isclose(seen["least causal weight"], by_hand[3])
    assert after == 1
    assert np.allclose(none, 1.0)  # zero has no residual inside
    assert later == 1


def test_marching_counts_times_up_to_an_end_and_lets_a_solver_that_stopped_go_on() -> None:
    rule = ph.Marching(windows=4, steps=3)
    learner = ph.PINN(equation=ph.Heat(), network=ph.MLP(hidden_sizes=(3,)), points=40, in_time=rule)

    @jax.jit
    def run(key: jax.Array, memory: Any) -> Any:
        state = learner.init(key)
        stopped = Progress(jnp.int32(1), jnp.int32(10))
        state = replace(state, progress=stopped, in_time=memory)
        weights = rule.weighted(learner.objective(state), state.model, memory)[0].points["heat"].weights
        after, metrics = learner.step(state, key)
        return state.points["heat"].at[:, 1], weights, after.progress.stopped, metrics["trained until"].total

    with jax.enable_x64(True):
        for memory, end, restarts in ((0, 0.25, False), (2, 0.25, True), (4, 0.5, False), (99, 1.0, False)):
            time, weights, stopped, until = run(jax.random.key(0), jnp.int32(memory))
            assert np.allclose(weights, (time <= end) / np.mean(np.asarray(time) <= end), rtol=1e-12)
            assert (stopped == 0) == restarts
            assert until == end


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"balance": ph.SelfAdaptive(), "resample_steps": 5}, "self-adaptive weights belong to points"),
        ({"in_time": ph.Causal()}, "weights along time need a problem with time"),
        (
            {"in_time": ph.Causal(), "equation": ph.Heat(), "solver": ph.LBFGS()},
            "l-bfgs remembers gradients",
        ),
    ],
)
def test_what_does_not_fit_is_refused(settings: dict[str, Any], line: str) -> None:
    with pytest.raises(UsageError, match=line):
        ph.PINN(**settings).check()
