"""Time: the interval that a region of space is multiplied by."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.physics.geometry.shape import Geometry, Side, bounds


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
