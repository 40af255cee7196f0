"""Differential operators on expressions, and the functions that equations are written with."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.physics.problem.expression import ZERO, Expression, apply, expression


def d(of: Any, *by: str) -> Expression:
    """Return a partial derivative: `d(u, "x", "x")` is u_xx, `d(u)` is u.

    Raises:
        UsageError: no name of a coordinate.

    """
    found = expression(of)
    for name in by:
        if not isinstance(name, str):
            raise UsageError(f'd(u, "x") takes names of coordinates, got {type(name).__name__}')
        found = found.differentiated(name)
    return found


def grad(of: Any, by: Sequence[str]) -> tuple[Expression, ...]:
    """Return the gradient: the derivative by each coordinate."""
    return tuple(d(of, name) for name in by)


def div(of: Sequence[Any], by: Sequence[str]) -> Expression:
    """Return the divergence of a vector: the sum of d(of_i, by_i).

    Raises:
        UsageError: another number of components than of coordinates.

    """
    if len(of) != len(by):
        raise UsageError(f"div needs a component per coordinate, got {len(of)} for {len(by)} coordinates")
    return sum((d(component, name) for component, name in zip(of, by)), ZERO)


def laplacian(of: Any, by: Sequence[str]) -> Expression:
    """Return the sum of second derivatives by each coordinate."""
    return sum((d(of, name, name) for name in by), ZERO)


def sin(of: Any) -> Expression:
    """Return the sine."""
    return apply(jnp.sin, of)


def cos(of: Any) -> Expression:
    """Return the cosine."""
    return apply(jnp.cos, of)


def exp(of: Any) -> Expression:
    """Return the exponential."""
    return apply(jnp.exp, of)


def log(of: Any) -> Expression:
    """Return the natural logarithm."""
    return apply(jnp.log, of)


def sqrt(of: Any) -> Expression:
    """Return the square root."""
    return apply(jnp.sqrt, of)


def tanh(of: Any) -> Expression:
    """Return the hyperbolic tangent."""
    return apply(jnp.tanh, of)
