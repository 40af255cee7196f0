"""Samples of geometries: points inside, and points with normals on sides."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from populace.physics.geometry.shape import Geometry
from populace.physics.geometry.side import Side
from populace.physics.sampling.cube import cube_points, grid

_SURPLUS = 1.3


def interior(geometry: Geometry, method: str, count: int, key: jax.Array, dtype: Any) -> Any:
    """Return points inside, (count, d); of a grid about as many, the same for every key.

    Where the region is no box, more points of its bounding box are drawn than needed, and the first `count`
    that lie inside are taken.
    """
    if method == "grid":
        return jnp.asarray(interior_grid(geometry, count), dtype)
    whole = geometry.fraction >= 1
    drawn = count if whole else int(_SURPLUS * count / geometry.fraction) + 32
    points = geometry.place(cube_points(method, drawn, len(geometry.names), key).astype(dtype))
    if whole:
        return points
    return points[_first(geometry.contains(points), count)]


def interior_grid(geometry: Geometry, count: int) -> np.ndarray:
    """Return the centers of about `count` nearly cubic cells that lie inside, on the host."""
    lengths = geometry.high - geometry.low
    # In units of each coordinate's length: space and time have no common scale.
    per_axis = (count / geometry.fraction) ** (1 / len(lengths))
    points = geometry.place(grid((per_axis,) * len(lengths)))
    return points[geometry.contains(points)]


def on_side(side: Side, method: str, count: int, key: jax.Array, dtype: Any) -> tuple[Any, Any]:
    """Return points and outward normals of a side, (count, d) each; a single point where it is one."""
    if not side.dimensions:
        count = 1
    fraction = side.fraction
    drawn = count if fraction >= 1 else int(_SURPLUS * count / fraction) + 32
    points, normals = side.place(cube_points(method, drawn, side.dimensions, key).astype(dtype))
    if fraction < 1 and side.keep is not None:
        rows = _first(side.keep(points, normals), count)
        points, normals = points[rows], normals[rows]
    return points.astype(dtype), normals.astype(dtype)


def shares(sides: tuple[Side, ...], count: int) -> list[int]:
    """Return how many of `count` points each side gets, by its measure; one at the least."""
    measures = np.asarray([side.measure * side.fraction for side in sides])
    return [max(1, round(count * m)) for m in measures / measures.sum()]


def counted(total: int, active: Any, dtype: Any) -> jax.Array:
    """Return weights with which a mean over all places is one over the first `active`."""
    place = jnp.arange(total, dtype=jnp.int32)
    return jnp.where(place < active, total / active, 0.0).astype(dtype)


def _first(inside: Any, count: int) -> Any:
    """Return the places of the first `count` points that are inside; repeated if there are too few."""
    order = jnp.argsort(~inside, stable=True)
    return order[jnp.arange(count) % jnp.maximum(jnp.sum(inside), 1)]
