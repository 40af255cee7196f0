"""What is measured of a model: residuals on fresh points, errors and coefficients against what is known."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.mean import Mean, Metrics
from populace.physics.objective import Model, evaluate, fields, residual
from populace.physics.problem.problem import Problem
from populace.physics.problem.term import Points
from populace.physics.sampling.sampler import interior, interior_grid

TRIVIAL = 1e-3
"""Standard deviation of a field over its size, or size itself, below which it is nearly constant."""


def verdict(error: np.ndarray, diverged: int, tolerance: float) -> str:
    """Return `solved` if half of all members, diverged ones included, have errors up to the tolerance."""
    return "solved" if 2 * np.sum(error <= tolerance) >= len(error) + diverged else "not solved"


def measure(problem: Problem, model: Model, count: int, key: jax.Array, dtype: Any) -> Metrics:
    """Return the root mean square of the equations' residuals on fresh points, and errors where known.

    Args:
        problem: what is to be solved.
        model: of one member.
        count: points that both are measured on; errors on a grid of about as many.
        key: for the fresh points.
        dtype: of the numbers.

    """
    fresh = interior(problem.domain, "uniform", count, key, dtype)
    squares = [jnp.mean(evaluate(problem, model, e, fresh) ** 2) for e in problem.equations.values()]
    metrics = {"residual": Mean(jnp.sqrt(sum(squares, jnp.float32(0)) / len(squares)))}
    if problem.exact:
        found = errors(problem, model, count, dtype)
        metrics["error"] = Mean(jnp.max(jnp.stack(list(found.values()))))
        if len(found) > 1:
            metrics |= {f"error {name}": Mean(value) for name, value in found.items()}
    else:
        values = fields(problem, model, fresh.T)
        size = jnp.maximum(jnp.max(jnp.abs(values)), TRIVIAL)
        metrics["variation"] = Mean(jnp.max(jnp.std(values, 1)) / size)
    for name, unknown in problem.unknowns.items():
        metrics[name] = Mean(model.coefficients[name])
        if unknown.true is not None:
            metrics[f"{name} error"] = Mean(jnp.abs(model.coefficients[name] / unknown.true - 1))
    return metrics


def errors(problem: Problem, model: Model, count: int, dtype: Any) -> dict[str, jax.Array]:
    """Return the relative L2 error of each field on a grid, where the exact solution is not NaN."""
    at = jnp.asarray(interior_grid(problem.domain, count), dtype).T
    coordinates = dict(zip(problem.domain.names, at))
    found = dict(zip(problem.fields, fields(problem, model, at)))
    measured = {}
    for name in problem.exact:
        true, value = problem.exact_values(name, coordinates), found[name]
        known = ~jnp.isnan(true)
        true, value = (jnp.where(known, v, 0.0) for v in (true, value))
        if name in problem.up_to_constant:
            true, value = (known * (v - jnp.sum(v) / jnp.sum(known)) for v in (true, value))
        measured[name] = jnp.linalg.norm(value - true) / jnp.linalg.norm(true)
    return measured


def not_finite(problem: Problem, model: Model, points: dict[str, Points]) -> str:
    """Return which term is not finite and where, in words; empty where all are finite.

    Such is a fractional power or a logarithm of what is negative.
    """
    for term in problem.terms:
        values = np.asarray(residual(problem, model, term, points[term.name]))
        bad = ~np.isfinite(values)
        if bad.any():
            at = np.asarray(points[term.name].at)[np.argmax(bad)]
            where = ", ".join(f"{name} {value:.4g}" for name, value in zip(problem.domain.names, at))
            return (
                f"the residual of '{term.name}' is not finite at {bad.sum()} of {len(bad)} points, the first "
                f"at {where}"
            )
    return ""
