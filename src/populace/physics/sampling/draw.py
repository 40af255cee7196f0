"""Draws the points of every term of a problem's loss."""

from typing import Any

import jax
import jax.numpy as jnp

from populace.physics.problem.problem import Problem
from populace.physics.problem.term import Points, Term
from populace.physics.sampling.sampler import counted, interior, on_side, shares


def draw(
    problem: Problem, method: str, counts: tuple[int, int, int], key: jax.Array, dtype: Any, room: int = 0
) -> dict[str, Points]:
    """Return the points of each term by its name.

    All equations are evaluated at the same points inside. The points of a condition are spread over its
    sides by their measure; a side that is a single point is one point, whatever was asked for.

    Args:
        problem: whose terms.
        method: one of `sampling.cube.METHODS`.
        counts: points inside, of each condition on a boundary, and of each condition at the start.
        key: for the draw.
        dtype: of the points.
        room: places inside for points that are added later.

    """
    at = interior(problem.domain, method, counts[0], jax.random.fold_in(key, 0), dtype)
    # Copies keep the places of what is added later: they have residuals, and no weight.
    whole = at[jnp.arange(len(at) + room) % len(at)]
    inside = _plain(whole)._replace(weights=counted(len(whole), len(at), dtype))
    found = {}
    for number, term in enumerate(problem.terms):
        if term.region == "inside":
            found[term.name] = inside
        elif term.region == "data":
            found[term.name] = _plain(jnp.asarray(term.points, dtype), jnp.asarray(term.values, dtype))
        else:
            found[term.name] = _boundary(term, method, counts, jax.random.fold_in(key, number + 1), dtype)
    return found


def _boundary(term: Term, method: str, counts: tuple[int, int, int], key: jax.Array, dtype: Any) -> Points:
    if term.region == "pairs":
        one, other = (on_side(side, method, counts[1], key, dtype) for side in term.sides)
        return Points(one[0], one[1], other[0], *_neither(len(one[0]), dtype))
    initial = all(side.name == "initial" for side in term.sides)
    numbers = shares(term.sides, counts[2] if initial else counts[1])
    drawn = [
        on_side(side, method, count, jax.random.fold_in(key, i), dtype)
        for i, (side, count) in enumerate(zip(term.sides, numbers))
    ]
    at, normals = (jnp.concatenate(rows) for rows in zip(*drawn))
    return Points(at, normals, at, *_neither(len(at), dtype))


def _plain(at: Any, values: Any = None) -> Points:
    nothing, weights = _neither(len(at), at.dtype)
    return Points(at, jnp.zeros_like(at), at, nothing if values is None else values, weights)


def _neither(count: int, dtype: Any) -> tuple[jax.Array, jax.Array]:
    """Return values of what is no data, and weights of points that all count the same."""
    return jnp.zeros(count, dtype), jnp.ones(count, dtype)
