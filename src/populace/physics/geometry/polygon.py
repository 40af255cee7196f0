"""Polygons, convex or not."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.physics.geometry.shape import Geometry
from populace.physics.geometry.side import Side, bounds


class Polygon(Geometry):
    """A simple polygon by its vertices, in either order; its sides are `edge 0`, `edge 1`, ...

    Edge i runs from vertex i to the next. A vertex has no normal: it belongs to no side.

    Raises:
        UsageError: fewer than three vertices, or no area.

    """

    def __init__(self, vertices: Any, names: tuple[str, str] = ("x", "y")) -> None:
        corners = np.asarray(vertices, float)
        if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3:
            raise UsageError(
                f"a polygon needs at least 3 vertices (x, y), got an array {list(corners.shape)}"
            )
        following = np.roll(corners, -1, 0)
        area = 0.5 * np.sum(corners[:, 0] * following[:, 1] - following[:, 0] * corners[:, 1])
        if area == 0:
            raise UsageError("the polygon has no area: its vertices lie on a line")
        self.names, self.vertices, self._turn = names, corners, np.sign(area)
        self.low, self.high = bounds(corners.min(0), corners.max(0), names)

    def contains(self, points: Any) -> Any:
        """Return which points lie inside: a ray from them crosses an odd number of edges."""
        begin, end = self.vertices, np.roll(self.vertices, -1, 0)
        x, y = points[:, :1], points[:, 1:]
        rise = end[:, 1] - begin[:, 1]
        crosses = (begin[:, 1] > y) != (end[:, 1] > y)
        slope = (end[:, 0] - begin[:, 0]) / np.where(rise == 0, 1.0, rise)
        return (crosses & (x < begin[:, 0] + (y - begin[:, 1]) * slope)).sum(-1) % 2 == 1

    @property
    def sides(self) -> tuple[Side, ...]:
        """The edges."""
        ends = np.roll(self.vertices, -1, 0)
        return tuple(self._edge(i, a, b) for i, (a, b) in enumerate(zip(self.vertices, ends)))

    def _edge(self, number: int, begin: np.ndarray, end: np.ndarray) -> Side:
        along = end - begin
        length = float(np.hypot(*along))
        normal = self._turn * np.asarray([along[1], -along[0]]) / length

        def place(cube: Any) -> tuple[Any, Any]:
            xp = np if isinstance(cube, np.ndarray) else jnp
            points = begin + cube * along
            return points, xp.broadcast_to(xp.asarray(normal, points.dtype), points.shape)

        return Side(f"edge {number}", length, 1, place)
