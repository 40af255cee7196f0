"""Discs and balls."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.physics.geometry.shape import Geometry
from populace.physics.geometry.side import Side, bounds


class _Round(Geometry):
    def __init__(self, center: Any, radius: float, names: tuple[str, ...]) -> None:
        if not (np.isfinite(radius) and radius > 0):
            raise UsageError(f"radius must be > 0, got {radius}")
        self.names, self.radius = names, float(radius)
        self.center = np.atleast_1d(np.asarray(center, float))
        self.low, self.high = bounds(self.center - radius, self.center + radius, names)

    def contains(self, points: Any) -> Any:
        """Return which points are no farther from the center than the radius."""
        return ((points - self.center) ** 2).sum(-1) <= self.radius**2 * (1 + 1e-12)


class Disc(_Round):
    """A disc; its side is `boundary`."""

    def __init__(self, center: Any, radius: float, names: tuple[str, str] = ("x", "y")) -> None:
        super().__init__(center, radius, names)

    @property
    def sides(self) -> tuple[Side, ...]:
        """The circle, by its angle."""

        def place(cube: Any) -> tuple[Any, Any]:
            xp = np if isinstance(cube, np.ndarray) else jnp
            angle = 2 * np.pi * cube[:, 0]
            normals = xp.stack([xp.cos(angle), xp.sin(angle)], 1)
            return self.center + self.radius * normals, normals

        return (Side("boundary", 2 * np.pi * self.radius, 1, place),)


class Ball(_Round):
    """A ball in three dimensions; its side is `boundary`."""

    def __init__(self, center: Any, radius: float, names: tuple[str, str, str] = ("x", "y", "z")) -> None:
        super().__init__(center, radius, names)

    @property
    def sides(self) -> tuple[Side, ...]:
        """The sphere; area is uniform in height and angle (Archimedes)."""

        def place(cube: Any) -> tuple[Any, Any]:
            xp = np if isinstance(cube, np.ndarray) else jnp
            height, angle = 1 - 2 * cube[:, 0], 2 * np.pi * cube[:, 1]
            ring = xp.sqrt(xp.maximum(1 - height**2, 0.0))
            normals = xp.stack([ring * xp.cos(angle), ring * xp.sin(angle), height], 1)
            return self.center + self.radius * normals, normals

        return (Side("boundary", 4 * np.pi * self.radius**2, 2, place),)
