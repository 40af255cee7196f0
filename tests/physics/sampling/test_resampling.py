"""Points that follow the residual, against densities and orders computed with NumPy."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import populace.physics as ph
from populace.physics.objective import Model
from populace.physics.sampling.draw import draw
from populace.physics.sampling.resampling import Plan, density
from populace.physics.sampling.sampler import counted, interior

X, U = ph.coordinate("x"), ph.field("u")
SQUARE = ph.Problem(ph.Interval(-1, 1), {"a": ph.d(U, "x") + X**2, "b": U * 0.5}, [ph.Dirichlet(U)])
"""Of the network that is zero, the residual is x^2."""
ZERO = Model(lambda columns: 0 * columns, {})
PLAN, KEY = Plan("sobol", 30, "float32"), jax.random.key(3)


def changed(rule: ph.Resampling, number: int, points: Any = None) -> Any:
    points = draw(SQUARE, "sobol", (30, 4, 4), KEY, "float32", rule.room)["a"] if points is None else points
    return jax.jit(lambda p: rule.inside(SQUARE, ZERO, p, PLAN, jnp.int32(number), KEY))(points)


def test_rad_draws_from_its_density() -> None:
    size = np.asarray([0.0, 1.0, 2.0, 5.0], np.float32)
    by_hand = size**2 / np.mean(size**2) + 0.5
    assert np.allclose(density(jnp.asarray(size), 2.0, 0.5), by_hand / by_hand.sum(), rtol=1e-6)
    assert np.allclose(density(jnp.zeros(4), 1.0, 0.0), 0.25)  # nothing to follow
    at = np.asarray(interior(SQUARE.domain, "sobol", 300, KEY, jnp.float32))
    points = draw(SQUARE, "sobol", (300, 4, 4), KEY, "float32")["a"]
    found = np.asarray(changed(ph.RAD(candidates=20000), 1, points).at)[:, 0]
    assert found.shape == (300,)
    assert len(np.unique(found)) == 300
    assert np.abs(np.mean(np.abs(at)) - 0.5) < 0.01
    # Half of the density is 3 x^2 / 2 on [-1, 1], half uniform: |x| is 3 / 4 and 1 / 2 in the mean.
    assert abs(np.mean(np.abs(found)) - 0.625) < 0.05
    found = np.asarray(changed(ph.RAD(candidates=20000, constant=0.0), 1, points).at)[:, 0]
    assert abs(np.mean(np.abs(found)) - 0.75) < 0.04


def test_rar_adds_the_worst_candidates_until_all_places_are_taken() -> None:
    rule = ph.RAR(added=4, most=10, candidates=200)
    first = draw(SQUARE, "sobol", (30, 4, 4), KEY, "float32", rule.room)["a"]
    assert first.at.shape == (40, 1)
    assert np.allclose(first.weights, [4 / 3] * 30 + [0] * 10)
    candidates = np.asarray(interior(SQUARE.domain, "uniform", 200, KEY, jnp.float32))[:, 0]
    worst = candidates[np.argsort(-(candidates**2), kind="stable")][:4]
    points = first
    for number, active in ((1, 34), (2, 38), (3, 40), (4, 40)):
        before = np.asarray(points.at)[:, 0]
        points = changed(rule, number, points)
        after = np.asarray(points.at)[:, 0]
        began = min(active, 30 + 4 * (number - 1))
        assert np.array_equal(after[:began], before[:began])
        assert np.array_equal(after[began:active], worst[: active - began])
        assert np.allclose(points.weights, counted(40, active, jnp.float32))
        assert np.isclose(np.mean(points.weights), 1.0)
