"""Term: one part of the loss, a residual that is zero at the points of a region."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from populace.physics.geometry.shape import Geometry
from populace.physics.geometry.side import Side
from populace.physics.problem.expression import Expression

Region = Literal["inside", "sides", "pairs", "data"]


class Points(NamedTuple):
    """Where a term is evaluated; arrays have one row per point.

    Attributes:
        at: (n, d).
        normals: outward unit normals (n, d); of what is no boundary, zeros.
        partners: the opposite points of periodic ones (n, d); else the points themselves.
        values: what was measured there (n,); else zeros.
        weights: factors on the squared residuals (n,), in the mean over all n points.

    """

    at: Any
    normals: Any
    partners: Any
    values: Any
    weights: Any


@dataclass(frozen=True, eq=False)
class Term:
    """A residual and where it is zero.

    Attributes:
        name: in metrics and reports.
        residual: what is zero; of data what is measured, of periodic sides what is equal on both.
        region: `inside`, `sides`, `pairs` of opposite sides, or `data`.
        sides: of the boundary; of pairs the two.
        points: of data, (n, d).
        values: of data, (n,).
        noise: standard deviation of the errors of data, where it is known.

    """

    name: str
    residual: Expression
    region: Region = "inside"
    sides: tuple[Side, ...] = ()
    points: np.ndarray | None = None
    values: Any = None
    noise: Any = None


class Condition(ABC):
    """Something that holds on a boundary, at the start, or at measured points."""

    @abstractmethod
    def terms(self, domain: Geometry) -> list[Term]:
        """Return the parts of the loss that it makes.

        Raises:
            UsageError: it does not fit the domain.

        """
