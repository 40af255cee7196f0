"""Side: a part of a boundary, as the image of a unit cube, with outward normals."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy.stats import qmc

from populace.core.errors import UsageError

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
        cube = unit_points(self.dimensions)
        return float(np.mean(self.keep(*self.place(cube))))


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


def unit_points(dimensions: int) -> np.ndarray:
    """Return 4,096 quasi-random points of the unit cube, (n, dimensions); a single one of no dimensions."""
    if not dimensions:
        return np.zeros((1, 0))
    return qmc.Sobol(dimensions, scramble=False).random(_TRIALS) + 0.5 / _TRIALS
