"""Self-scaled rules: the update against that of the Hessian, known minima, other losses, exact resume."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import populace.physics as ph
from populace.core.numerics.precision import precision
from populace.physics.optimisers.self_scaled import rank_two
from populace.physics.optimisers.solver import NOT_FINITE, Progress
from tests.harness import check_learner
from tests.physics.problems import line

RULES = [ph.SelfScaledBFGS, ph.SelfScaledBroyden]


def broyden(b: float, h: float, size: int) -> tuple[float, float]:
    """Urban, Stefanou and Pons' factors, theta and tau of the Hessian's own update."""
    a = b * h - 1
    low = min(1.0, h * (1 - np.sqrt(a / (1 + a))))
    theta = max((low - 1) / a, min(1 / low, (1 - b) / b))
    sigma = 1 + a * theta
    tau = min(1.0, 1 / b) * sigma ** (-1 / (size - 1))
    return theta, min(min(1.0, 1 / b) / theta, tau) if theta > 0 else min(tau, sigma)


def test_the_inverse_is_that_of_the_scaled_and_updated_hessian() -> None:
    rng = np.random.default_rng(0)
    square = rng.normal(size=(5, 5))
    hessian = square @ square.T + np.eye(5)
    inverse = np.linalg.inv(hessian)
    s = rng.normal(size=5)
    curvature = s @ hessian @ s
    seen = set()
    with jax.enable_x64(True):

        @jax.jit
        def run(y: jax.Array, x: jax.Array) -> list:
            along, w = y @ s, inverse @ y
            b, h = curvature / along, (y @ w) / along
            found = []
            for rule in RULES:
                tau, phi = rule().factors(b, h, 5)
                update = rank_two(s, w, along, h, tau, phi)
                found.append((update.of(jnp.asarray(inverse)), update.times(inverse @ x, x)))
            return found

        for factor, noise in ((0.3, 0.1), (2.5, 0.1), (0.5, 2.0), (1.5, 2.0)):
            y = hessian @ s * factor + noise * rng.normal(size=5)
            b, h = curvature / (y @ s), (y @ inverse @ y) / (y @ s)
            assert b > 0
            turned, x = hessian @ s, rng.normal(size=5)
            for (theta, tau), (found, times) in zip(
                [(0.0, min(1.0, 1 / b)), broyden(b, h, 5)], run(y, x), strict=True
            ):
                seen.add((np.sign(theta), tau < 1))
                v = np.sqrt(curvature) * (y / (y @ s) - turned / curvature)
                after = tau * (hessian - np.outer(turned, turned) / curvature + theta * np.outer(v, v))
                after += np.outer(y, y) / (y @ s)
                assert np.allclose(found, np.linalg.inv(after), rtol=1e-8, atol=1e-11)
                assert np.allclose(times, found @ x, rtol=1e-9, atol=1e-11)
                assert np.allclose(found @ y, s, rtol=1e-8)
    assert {(0, True), (0, False)} < seen  # both rules shrink in some cases, not in others
    assert len({sign for sign, _ in seen}) == 3


class Loss:
    """A function of a vector, in the place of an objective."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def loss(self, model: Any) -> tuple[jax.Array, dict]:
        return self.function(model), {}


def rosenbrock(x: Any) -> Any:
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@pytest.mark.parametrize("rule", RULES)
def test_it_finds_known_minima_and_goes_on_with_its_hessian_on_another_loss(rule: Any) -> None:
    scales, shift = 10.0 ** np.linspace(-2, 2, 6), np.arange(6.0)
    quick, one = rule(iterations=1), rule(iterations=100)
    above = np.triu(np.outer(scales, shift), 1)
    skew = above - above.T

    @jax.jit
    def run() -> tuple:
        steep = Loss(lambda x: jnp.sum(scales * x**2) / 2)
        x, memory, before, after, failed = one.step(steep, jnp.ones(6), one.init(jnp.ones(6)))
        # The same curvature about another place: a single iteration gets there, or nearly.
        moved = Loss(lambda x: jnp.sum(scales * (x - shift) ** 2) / 2)
        there = quick.step(moved, x, quick.again(memory, x))[0]
        anew = quick.step(moved, x, quick.init(x))[0]
        skewed = memory._replace(inverse=memory.inverse + skew)
        upright = quick.step(moved, x, quick.again(skewed, x))[0]
        curved = Loss(rosenbrock)

        def once(carry: Any, _: Any) -> Any:
            x, memory = carry
            x, memory, before, after, _ = quick.step(curved, x, memory)
            return (x, memory), (before, after, curved.function(x))

        start = -jnp.ones(4)
        (top, _), values = jax.lax.scan(once, (start, quick.init(start)), None, 80)
        return x, before, after, failed, there, anew, upright, top, values

    with jax.enable_x64(True):
        x, before, after, failed, there, anew, upright, top, values = jax.device_get(run())
    assert before == pytest.approx(scales.sum() / 2)
    assert after < 1e-20
    assert np.abs(x).max() < 1e-8
    assert not failed
    assert np.abs(there - shift).max() < 1e-4 * np.abs(anew - shift).max()
    assert np.allclose(upright, there, rtol=1e-6, atol=1e-6)  # it takes its inverse as symmetric
    assert np.allclose(top, 1.0, atol=1e-7)
    assert (values[1] <= values[0]).all()
    assert np.array_equal(values[0][1:], values[1][:-1])  # what it remembers is the loss where it is
    assert np.allclose(values[1], values[2], rtol=1e-9, atol=1e-25)


def test_what_is_not_finite_leaves_the_model_as_it_is_and_ends_it() -> None:
    rule = ph.SelfScaledBroyden(iterations=5)

    @jax.jit
    def run(bad: Any) -> tuple:
        loss = Loss(lambda x: jnp.sum((x - 2) ** 2) * bad)
        start = jnp.ones(3)
        first = rule.step(Loss(lambda x: jnp.sum(jnp.log(x - 0.5) ** 2)), start, rule.init(start))
        x, _, before, after, failed = rule.step(loss, start, rule.init(start))
        return x, Progress.start().after(before, after, failed).stopped, first[0]

    with jax.enable_x64(True):
        x, stopped, first = run(jnp.nan)
        same, at_minimum, _ = run(0.0)
    assert np.array_equal(x, np.ones(3))
    assert stopped == NOT_FINITE
    assert np.array_equal(same, np.ones(3))  # a flat loss: no step lowers it
    assert at_minimum == 2
    assert np.allclose(first, 1.5, atol=1e-3)  # beside a logarithm of what is negative


@pytest.mark.parametrize("rule", RULES)
def test_it_solves_a_problem_and_never_raises_the_loss(rule: Any) -> None:
    learner = ph.PINN(
        problem=line(), network=ph.MLP(hidden_sizes=(8,)), points=24, condition_weight=10.0,
        solver=rule(iterations=5),
    )  # fmt: skip

    @jax.jit
    def run(key: jax.Array) -> tuple:
        def step(state, _):
            after, metrics = learner.step(state, key)
            return after, metrics["loss"].total

        last, losses = jax.lax.scan(step, learner.init(key), None, 60)
        return losses, learner.evaluate(learner.model(last), key)["error"].value

    with jax.enable_x64(True):
        losses, error = run(jax.random.key(1))
    assert (np.diff(losses) <= 1e-6 * np.asarray(losses[:-1])).all()
    assert error < 1e-3


def test_it_resumes_exactly_with_the_points_and_the_hessian_that_it_had(tmp_path: Path) -> None:
    learner = ph.PINN(
        problem=line(), network=ph.MLP(hidden_sizes=(6,)), points=20, resample_steps=2,
        resampling=ph.RAD(candidates=40), solver=ph.SelfScaledBroyden(iterations=3),
    )  # fmt: skip
    with precision(True):  # the checks themselves copy states, which are of 64 bits
        check_learner(learner, {"condition_weight": [1.0, 20.0]}, 5, tmp_path)


def test_points_that_change_keep_the_hessian_and_let_a_stopped_member_go_on() -> None:
    learner = ph.PINN(problem=line(), network=ph.MLP(hidden_sizes=(4,)), points=10, resample_steps=2,
                      solver=ph.SelfScaledBroyden())  # fmt: skip
    with jax.enable_x64(True):
        state = learner.init(jax.random.key(0))
        known = state.memory._replace(
            inverse=2 * state.memory.inverse, fresh=jnp.bool(False), current=jnp.bool(True)
        )
        stopped = Progress(jnp.int32(1), jnp.int32(10))
        again = learner.solver.again(known, state.model)
        assert np.array_equal(again.inverse, known.inverse)
        assert not again.current
        assert not again.fresh
        after = learner._again(replace(state, memory=known, progress=stopped))
        limited = ph.LBFGS(memory_size=2)
        gradients = jax.tree.map(lambda x: x + 1, limited.init(jnp.ones(3)))
        none = limited.again(gradients, jnp.ones(3))
        assert not any(np.any(leaf) for leaf in jax.tree.leaves(none[0][0].diff_updates_memory))
    assert after.progress.stopped == 0
    assert np.array_equal(after.memory.inverse, known.inverse)
