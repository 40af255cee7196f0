"""Further errors of measured values, so that members see data of their own."""

import jax
import jax.numpy as jnp

from populace.physics.problem.problem import Problem
from populace.physics.problem.term import Points


def randomized(problem: Problem, points: dict[str, Points], key: jax.Array) -> dict[str, Points]:
    """Return points whose data have further normal errors, of the size that they have already.

    The members' coefficients then vary by the errors of data, and not by their start alone.
    """
    changed = {}
    for number, term in enumerate(problem.terms):
        if term.region == "data" and term.noise is not None:
            values = points[term.name].values
            errors = jax.random.normal(jax.random.fold_in(key, number), values.shape, jnp.float32)
            changed[term.name] = points[term.name]._replace(
                values=values + (term.noise * errors).astype(values.dtype)
            )
    return points | changed
