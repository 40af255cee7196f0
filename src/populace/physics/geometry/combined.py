"""Unions, intersections and differences."""

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from populace.core.errors import UsageError
from populace.physics.geometry.shape import Geometry, Side, renamed

_NEAR = 1e-6


class Combined(Geometry):
    """Two geometries in the same coordinates, combined by `|`, `&` or `-`.

    The sides of the first keep their names with `first.` before them, those of the second have `second.`.
    Of each only that is a side which has the inside on one hand and the outside on the other; where the
    second is taken away, its normals point into what is taken away.
    """

    def __init__(self, first: Geometry, second: Geometry, how: str) -> None:
        if first.names != second.names or first.time or second.time:
            raise UsageError(
                f"geometries are combined in the same coordinates of space, got {', '.join(first.names)} and "
                f"{', '.join(second.names)}; multiply by Time last"
            )
        self.first, self.second, self.how, self.names = first, second, how, first.names
        if how == "|":
            self.low = np.minimum(first.low, second.low)
            self.high = np.maximum(first.high, second.high)
        elif how == "&":
            self.low, self.high = np.maximum(first.low, second.low), np.minimum(first.high, second.high)
            if (self.low >= self.high).any():
                raise UsageError("the geometry is empty: the two parts do not overlap")
        else:
            self.low, self.high = first.low, first.high

    def contains(self, points: Any) -> Any:
        """Return which points lie in it."""
        a, b = self.first.contains(points), self.second.contains(points)
        return a | b if self.how == "|" else a & b if self.how == "&" else a & ~b

    @cached_property
    def _size(self) -> float:
        return float(np.max(self.high - self.low))

    @property
    def sides(self) -> tuple[Side, ...]:
        """The sides of both that are still boundary."""
        own = [self._still(renamed(side, "first"), False) for side in self.first.sides]
        other = [self._still(renamed(side, "second"), self.how == "-") for side in self.second.sides]
        return (*own, *other)

    def _still(self, side: Side, flipped: bool) -> Side:
        def place(cube: Any) -> tuple[Any, Any]:
            points, normals = side.place(cube)
            return points, -normals if flipped else normals

        def keep(points: Any, normals: Any) -> Any:
            step = _NEAR * self._size * normals
            found = self.contains(points - step) & ~self.contains(points + step)
            return found if side.keep is None else found & side.keep(points, -normals if flipped else normals)

        return replace(side, place=place, keep=keep)
