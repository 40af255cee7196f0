"""Geometry: a region with named coordinates, a test for what lies inside, and sides with outward normals."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy.stats import qmc

from populace.core.errors import UsageError, unknown
from populace.core.untrusted.shown import shown

_TRIALS = 4096


@dataclass(frozen=True)
class Side:
    """A part of a boundary.

    Attributes:
        name: what conditions call it.
        measure: its length or area; 1 for a point.
        dimensions: of the unit cube that it is the image of.
        place: from (n, dimensions) numbers in [0, 1] to points (n, d) and outward unit normals (n, d). Edges
            and vertices, which have no normal, are images of the cube's boundary, which nothing samples.
        keep: which of these points are boundary at all; None for all of them.

    """

    name: str
    measure: float
    dimensions: int
    place: Callable[[Any], tuple[Any, Any]]
    keep: Callable[[Any, Any], Any] | None = None

    @cached_property
    def fraction(self) -> float:
        """The part of it that is kept, from 4,096 quasi-random points."""
        if self.keep is None:
            return 1.0
        cube = _unit_points(self.dimensions)
        return float(np.mean(self.keep(*self.place(cube))))


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
        found = float(np.mean(self.contains(self.place(_unit_points(len(self.names))))))
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

    def __or__(self, other: "Geometry") -> "Geometry":
        return _combined(self, other, "|")

    def __and__(self, other: "Geometry") -> "Geometry":
        return _combined(self, other, "&")

    def __sub__(self, other: "Geometry") -> "Geometry":
        return _combined(self, other, "-")

    def __mul__(self, other: Any) -> "Geometry":
        from populace.physics.geometry.time import Time, TimeDomain

        if not isinstance(other, Time):
            raise UsageError(f"a geometry is multiplied by a Time, got {shown(other)}")
        return TimeDomain(self, other)


def bounds(low: Any, high: Any, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return checked bounds of a box.

    Raises:
        UsageError: bounds that are not finite, not in order, or of another number than the names.

    """
    below, above = np.atleast_1d(np.asarray(low, float)), np.atleast_1d(np.asarray(high, float))
    if below.shape != (len(names),) or above.shape != (len(names),):
        raise UsageError(
            f"coordinates {', '.join(names)} need {len(names)} bounds each, got {low} and {high}"
        )
    if not (np.isfinite(below).all() and np.isfinite(above).all() and (below < above).all()):
        raise UsageError(f"each lower bound must be below the upper one, got {low} and {high}")
    if len(set(names)) < len(names):
        raise UsageError(f"coordinates must have different names, got {', '.join(names)}")
    return below, above


def renamed(side: Side, prefix: str) -> Side:
    """Return a side by another name."""
    return replace(side, name=f"{prefix}.{side.name}")


def _combined(a: Geometry, b: Geometry, how: str) -> Geometry:
    from populace.physics.geometry.combined import Combined

    return Combined(a, b, how)


def _unit_points(dimensions: int) -> np.ndarray:
    if not dimensions:
        return np.zeros((1, 0))
    return qmc.Sobol(dimensions, scramble=False).random(_TRIALS) + 0.5 / _TRIALS
