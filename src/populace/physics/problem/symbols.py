"""Symbols that expressions are made of: coordinates, fields, normals, regions and unknown coefficients."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.physics.geometry.shape import Geometry
from populace.physics.problem.expression import ONE, ZERO, Expression, Values


class Coordinate(Expression):
    """A coordinate, such as `x` or `t`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def value(self, at: Values) -> Any:
        """Return the coordinate of every point."""
        return at.coordinates[self.name]

    def parts(self) -> tuple[Expression, ...]:
        """Return nothing."""
        return ()

    def differentiated(self, name: str) -> Expression:
        """Return 1 for itself, 0 for others."""
        return ONE if name == self.name else ZERO


class Normal(Expression):
    """A component of the outward unit normal; it has a value on the boundary only."""

    def __init__(self, name: str) -> None:
        self.name = name

    def value(self, at: Values) -> Any:
        """Return the component at every point."""
        return at.normals[self.name]

    def parts(self) -> tuple[Expression, ...]:
        """Return nothing."""
        return ()

    def differentiated(self, name: str) -> Expression:
        """Refuse: normals are not differentiated."""
        raise UsageError("an equation differentiates the normal, which only the boundary has")


class Derivative(Expression):
    """A field, or one of its partial derivatives; `by` is in alphabetical order."""

    def __init__(self, field: str, by: tuple[str, ...] = ()) -> None:
        self.field, self.by = field, tuple(sorted(by))

    def value(self, at: Values) -> Any:
        """Return the derivative at every point."""
        return at.derivatives[self.field, self.by]

    def parts(self) -> tuple[Expression, ...]:
        """Return nothing."""
        return ()

    def differentiated(self, name: str) -> Expression:
        """Return the next derivative."""
        return Derivative(self.field, (*self.by, name))


class Indicator(Expression):
    """1 inside a region, 0 outside; derivatives are 0, as they are everywhere but at the region's edge."""

    def __init__(self, region: Geometry) -> None:
        self.region = region

    def value(self, at: Values) -> Any:
        """Return 1 or 0 at every point."""
        columns = [at.coordinates[name] for name in self.region.names]
        xp = np if isinstance(columns[0], np.ndarray) else jnp
        inside = self.region.contains(xp.stack(columns, -1))
        return inside.astype(columns[0].dtype)

    def parts(self) -> tuple[Expression, ...]:
        """Return the coordinates of the region."""
        return tuple(Coordinate(name) for name in self.region.names)

    def differentiated(self, name: str) -> Expression:
        """Return zero."""
        del name
        return ZERO


class Unknown(Expression):
    """A coefficient that is learned with the solution.

    Args:
        name: what it is called in results.
        start: where training begins.
        true: what it is, where that is known: reports compare with it.

    """

    def __init__(self, name: str, start: float, true: float | None = None) -> None:
        self.name, self.start, self.true = name, start, true

    def value(self, at: Values) -> Any:
        """Return its present value."""
        return at.parameters[self.name]

    def parts(self) -> tuple[Expression, ...]:
        """Return nothing."""
        return ()

    def differentiated(self, name: str) -> Expression:
        """Return zero."""
        del name
        return ZERO


def coordinate(name: str) -> Coordinate:
    """Return the coordinate of that name."""
    return Coordinate(name)


def field(name: str) -> Derivative:
    """Return the unknown field of that name, which a network stands for."""
    return Derivative(name)


def normal(name: str) -> Normal:
    """Return the component of the outward unit normal along a coordinate."""
    return Normal(name)


def indicator(region: Geometry) -> Indicator:
    """Return 1 inside a region of space, 0 outside: equations that hold in a part of the domain."""
    return Indicator(region)


def unknown_coefficient(name: str, start: float, true: float | None = None) -> Unknown:
    """Return a coefficient that is learned with the solution; `true` is only compared with."""
    return Unknown(name, start, true)
