"""Geometry: a region with named coordinates and sides; unions, intersections, differences, and time."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError, unknown
from populace.core.untrusted.shown import shown
from populace.physics.geometry.side import Side, bounds, renamed, unit_points

_NEAR = 1e-6


class Geometry:
    """A region of space; `a | b`, `a & b` and `a - b` combine two, `a * Time(0, 1)` adds time.

    Attributes:
        names: of the coordinates.
        low: smallest values of the coordinates, (d,).
        high: largest values, (d,).
        time: name of the coordinate that is time; empty where there is none.

    """

    names: tuple[str, ...]
    low: np.ndarray
    high: np.ndarray
    time: str = ""

    @property
    def space(self) -> tuple[str, ...]:
        """Names of the coordinates that are not time."""
        return tuple(name for name in self.names if name != self.time)

    @abstractmethod
    def contains(self, points: Any) -> Any:
        """Return which points (n, d) lie inside or on the boundary; arrays of NumPy or of JAX."""

    @property
    @abstractmethod
    def sides(self) -> tuple[Side, ...]:
        """The parts of the boundary."""

    def place(self, cube: Any) -> Any:
        """Return points of the bounding box for numbers in the unit cube, (n, d)."""
        return self.low + cube * (self.high - self.low)

    @cached_property
    def fraction(self) -> float:
        """The part of the bounding box that lies inside, from 4,096 quasi-random points."""
        found = float(np.mean(self.contains(self.place(unit_points(len(self.names))))))
        if not found:
            raise UsageError("the geometry is empty: no point of its bounding box lies inside")
        return found

    @property
    def measure(self) -> float:
        """Its length, area or volume, estimated from `fraction`."""
        return float(np.prod(self.high - self.low)) * self.fraction

    def chosen(self, on: str | tuple[str, ...]) -> tuple[Side, ...]:
        """Return the sides of a name, of several, or with `boundary` all of them (but for the start of time).

        Raises:
            UsageError: a side that the geometry lacks.

        """
        known = {side.name: side for side in self.sides if side.fraction > 0}
        wanted = [on] if isinstance(on, str) else list(on)
        found = []
        for name in wanted:
            if name == "boundary" and name not in known:
                found += [side for side in known.values() if side.name != "initial"]
            elif name in known:
                found.append(known[name])
            else:
                raise unknown("side", name, ["boundary", *known], where=" of the geometry")
        return tuple(found)

    def through_time(self, region: "Geometry") -> "Geometry":
        """Return a region of the same space over the same interval of time, where there is one."""
        return region

    def __or__(self, other: "Geometry") -> "Geometry":
        return Combined(self, other, "|")

    def __and__(self, other: "Geometry") -> "Geometry":
        return Combined(self, other, "&")

    def __sub__(self, other: "Geometry") -> "Geometry":
        return Combined(self, other, "-")

    def __mul__(self, other: Any) -> "Geometry":
        if not isinstance(other, Time):
            raise UsageError(f"a geometry is multiplied by a Time, got {shown(other)}")
        return TimeDomain(self, other)


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


class Time:
    """An interval of time."""

    def __init__(self, begin: float, end: float, name: str = "t") -> None:
        self.name = name
        low, high = bounds(begin, end, (name,))
        self.begin, self.end = float(low[0]), float(high[0])


class TimeDomain(Geometry):
    """A region of space over an interval of time; the side `initial` is the region at its beginning."""

    def __init__(self, region: Geometry, time: Time) -> None:
        if region.time:
            raise UsageError("the geometry has time already")
        if time.name in region.names:
            raise UsageError(f"the coordinate '{time.name}' is one of space already; give time another name")
        self.region, self.interval, self.time = region, time, time.name
        self.names = (*region.names, time.name)
        self.low, self.high = np.append(region.low, time.begin), np.append(region.high, time.end)

    def contains(self, points: Any) -> Any:
        """Return which points lie in the region and in the interval."""
        t = points[:, -1]
        return self.region.contains(points[:, :-1]) & (t >= self.interval.begin) & (t <= self.interval.end)

    def place(self, cube: Any) -> Any:
        """Return points of the region at times of the interval."""
        return self._with_time(self.region.place(cube[:, :-1]), self._times(cube[:, -1:]))

    @cached_property
    def fraction(self) -> float:
        """That of the region."""
        return self.region.fraction

    @property
    def sides(self) -> tuple[Side, ...]:
        """Those of the region at all times, and `initial`."""
        return (*(self._through_time(side) for side in self.region.sides), self._initial)

    def through_time(self, region: Geometry) -> Geometry:
        """Return a region of the same space over the same interval of time."""
        return TimeDomain(region, self.interval)

    @property
    def _initial(self) -> Side:
        def place(cube: Any) -> tuple[Any, Any]:
            xp = np if isinstance(cube, np.ndarray) else jnp
            inside = self.region.place(cube)
            points = self._with_time(inside, xp.full_like(inside[:, :1], self.interval.begin))
            normal = xp.zeros_like(points)
            return points, normal

        keep: Callable[[Any, Any], Any] | None = None
        if self.region.fraction < 1:
            keep = self._starts_inside

        return Side("initial", self.region.measure, len(self.region.names), place, keep)

    def _starts_inside(self, points: Any, normals: Any) -> Any:
        del normals
        return self.region.contains(points[:, :-1])

    def _through_time(self, side: Side) -> Side:
        def place(cube: Any) -> tuple[Any, Any]:
            xp = np if isinstance(cube, np.ndarray) else jnp
            points, normals = side.place(cube[:, :-1])
            return (
                self._with_time(points, self._times(cube[:, -1:])),
                self._with_time(normals, xp.zeros_like(normals[:, :1])),
            )

        keep: Callable[[Any, Any], Any] | None = None
        if (inner := side.keep) is not None:
            keep = lambda points, normals: inner(points[:, :-1], normals[:, :-1])  # noqa: E731

        return replace(side, dimensions=side.dimensions + 1, place=place, keep=keep)

    def _times(self, cube: Any) -> Any:
        return self.interval.begin + cube * (self.interval.end - self.interval.begin)

    def _with_time(self, points: Any, times: Any) -> Any:
        xp = np if isinstance(times, np.ndarray) else jnp
        return xp.concatenate([points, times.astype(points.dtype)], 1)
