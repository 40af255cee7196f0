"""Equations with a name: what they are compared with satisfies them, and their conditions."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import populace.physics as ph
from populace.physics.networks.derivatives import derivatives
from populace.physics.problem.expression import Expression, Values
from populace.physics.problem.symbols import Derivative, Unknown
from populace.physics.sampling.draw import draw


def known(problem: ph.Problem, wanted: Expression, at: Any) -> Any:
    """Return an expression of the exact solution, (n,), and the size of what it is made of."""
    names = problem.domain.names
    true = {p.name: p.true for p in wanted.walk() if isinstance(p, Unknown)}

    def fields(columns: Any) -> Any:
        given = dict(zip(names, columns))
        return jnp.stack([problem.exact_values(name, given) for name in problem.fields])

    needed = [(p.field, p.by) for p in wanted.walk() if isinstance(p, Derivative)]
    found = derivatives(fields, at.T, problem.fields, names, needed)
    size = sum(jnp.mean(jnp.abs(v)) for v in found.values())
    return wanted.value(Values(dict(zip(names, at.T)), found, true)), size


@pytest.mark.parametrize(
    ("equation", "accuracy"),
    [
        (ph.Oscillator(), 1e-6),
        (ph.Burgers(viscosity=0.05, by_construction=False), 1e-4),
        (ph.AllenCahn(diffusivity=1e-2), 1e-4),
        (ph.InverseLorenz(), 1e-6),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_the_reference_satisfies_the_equations_and_the_conditions(equation: Any, accuracy: float) -> None:
    @jax.jit
    def residuals(key: jax.Array) -> Any:
        points = draw(problem, "uniform", (20, 8, 8), key, "float64")
        found = {
            t.name: (*known(problem, t.residual, points[t.name].at), points[t.name].values)
            for t in problem.terms
        }
        held = []
        for lift, distance in problem.hard.values():
            for side in problem.domain.chosen(("boundary", "initial")):
                at = side.place(jax.random.uniform(key, (8, side.dimensions), jnp.float64))[0]
                place = Values(dict(zip(problem.domain.names, at.T)), {}, {})
                true = problem.exact_values("u", place.coordinates)
                held += [distance.value(place), lift.value(place) - true]
        return found, held

    with jax.enable_x64(True):
        problem = equation.define()
        found, held = residuals(jax.random.key(0))
    for term in problem.terms:
        value, size, data = found[term.name]
        off = np.abs(np.asarray(value) - np.asarray(data))
        if term.region == "data":
            assert 0.3 * equation.noise < off.std() < 3 * equation.noise
        else:
            assert off.max() <= accuracy * max(float(size), 1.0), term.name
    assert all(np.abs(h).max() < 1e-6 for h in held)
