"""What is measured of a model: residuals on fresh points, errors and coefficients against what is known."""

from typing import Any

import jax
import jax.numpy as jnp

from populace.core.learner import Mean, Metrics
from populace.physics.objective import Model, evaluate, fields
from populace.physics.problem.problem import Problem
from populace.physics.sampling.sampler import interior, interior_grid


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
    for name, unknown in problem.unknowns.items():
        metrics[name] = Mean(model.coefficients[name])
        if unknown.true is not None:
            metrics[f"{name} error"] = Mean(jnp.abs(model.coefficients[name] / unknown.true - 1))
    return metrics


def errors(problem: Problem, model: Model, count: int, dtype: Any) -> dict[str, jax.Array]:
    """Return the relative L2 error of each field against the exact solution, on a grid."""
    at = jnp.asarray(interior_grid(problem.domain, count), dtype).T
    coordinates = dict(zip(problem.domain.names, at))
    found = dict(zip(problem.fields, fields(problem, model, at)))
    measured = {}
    for name in problem.exact:
        true, value = problem.exact_values(name, coordinates), found[name]
        if name in problem.up_to_constant:
            true, value = true - jnp.mean(true), value - jnp.mean(value)
        measured[name] = jnp.linalg.norm(value - true) / jnp.linalg.norm(true)
    return measured
