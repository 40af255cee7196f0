"""Intervals, rectangles and boxes: products of intervals."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from populace.physics.geometry.shape import Geometry
from populace.physics.geometry.side import Side, bounds

_SIDES = (("left", "right"), ("bottom", "top"), ("back", "front"))


class Cuboid(Geometry):
    """The product of intervals; sides are `left` and `right`, `bottom` and `top`, `back` and `front`."""

    def __init__(self, low: Any, high: Any, names: tuple[str, ...]) -> None:
        self.names = names
        self.low, self.high = bounds(low, high, names)

    def contains(self, points: Any) -> Any:
        """Return which points lie in it."""
        return ((points >= self.low) & (points <= self.high)).all(-1)

    @property
    def sides(self) -> tuple[Side, ...]:
        """Two for each coordinate."""
        return tuple(self._side(axis, upper) for axis in range(len(self.names)) for upper in (False, True))

    def _side(self, axis: int, upper: bool) -> Side:
        rest = [i for i in range(len(self.names)) if i != axis]
        lengths = (self.high - self.low)[rest]
        normal = np.zeros(len(self.names))
        normal[axis] = 1.0 if upper else -1.0
        fixed = self.high[axis] if upper else self.low[axis]

        def place(cube: Any) -> tuple[Any, Any]:
            along = self.low[rest] + cube * lengths
            xp = np if isinstance(cube, np.ndarray) else jnp
            column = xp.full((len(cube), 1), fixed, along.dtype)
            points = xp.concatenate([along[:, :axis], column, along[:, axis:]], 1)
            return points, xp.broadcast_to(xp.asarray(normal, along.dtype), points.shape)

        return Side(_SIDES[axis][upper], float(np.prod(lengths)), len(rest), place)


class Interval(Cuboid):
    """The interval from `low` to `high`; its sides are `left` and `right`."""

    def __init__(self, low: float, high: float, name: str = "x") -> None:
        super().__init__(low, high, (name,))


class Rectangle(Cuboid):
    """A rectangle from its lower left to its upper right corner."""

    def __init__(self, low: Any, high: Any, names: tuple[str, str] = ("x", "y")) -> None:
        super().__init__(low, high, names)


class Box(Cuboid):
    """A box in three dimensions; `back` and `front` are the least and the greatest z."""

    def __init__(self, low: Any, high: Any, names: tuple[str, str, str] = ("x", "y", "z")) -> None:
        super().__init__(low, high, names)
