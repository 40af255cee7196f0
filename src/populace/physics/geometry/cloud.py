"""Point clouds: a region that is known by points in it, and by points and normals of its boundary."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.physics.geometry.shape import Geometry
from populace.physics.geometry.side import Side, bounds


class PointCloud(Geometry):
    """Points inside, (N, d), and where conditions need them, points and outward normals of the boundary.

    Samples are drawn from the given points, so no test for what lies inside is needed.

    Raises:
        UsageError: arrays that do not fit each other, or are not finite.

    """

    def __init__(
        self, points: Any, names: tuple[str, ...], boundary: Any = None, normals: Any = None
    ) -> None:
        self.points, self.names = _rows("points", points, len(names)), names
        self.low, self.high = bounds(self.points.min(0), self.points.max(0), names)
        self.boundary = None if boundary is None else _rows("boundary", boundary, len(names))
        self.normals = np.zeros((0, len(names)))
        if self.boundary is not None:
            if normals is None:
                raise UsageError("a boundary of points needs an outward normal for each of them")
            self.normals = _rows("normals", normals, len(names))
            if len(self.normals) != len(self.boundary):
                raise UsageError(
                    f"there are {len(self.boundary)} boundary points and {len(self.normals)} normals"
                )
            self.normals = self.normals / np.linalg.norm(self.normals, axis=1, keepdims=True)

    def contains(self, points: Any) -> Any:
        """Return yes for all: only given points are drawn."""
        return points[:, 0] == points[:, 0]

    def place(self, cube: Any) -> Any:
        """Return given points, by the first number of each row."""
        return _drawn(self.points, cube)

    @property
    def sides(self) -> tuple[Side, ...]:
        """`boundary`, where points of it were given."""
        if self.boundary is None:
            return ()
        edge = self.boundary
        return (
            Side("boundary", 1.0, 1, lambda cube: (_drawn(edge, cube), _drawn(self.normals, cube))),
        )  # fmt: skip


def _drawn(rows: np.ndarray, cube: Any) -> Any:
    xp = np if isinstance(cube, np.ndarray) else jnp
    places = xp.minimum((cube[:, 0] * len(rows)).astype(np.int32), len(rows) - 1)
    return xp.asarray(rows, cube.dtype)[places]


def _rows(name: str, values: Any, width: int) -> np.ndarray:
    found = np.asarray(values, float)
    if found.ndim != 2 or found.shape[1] != width or not len(found):
        raise UsageError(f"{name} of a point cloud must be (N, {width}), got {list(found.shape)}")
    if not np.isfinite(found).all():
        raise UsageError(f"{name} of a point cloud must be finite")
    return found
