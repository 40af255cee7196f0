"""Expressions: what equations and conditions are written in, evaluated at many points at once.

    x, t, u = coordinate("x"), coordinate("t"), field("u")
    residual = d(u, "t") + u * d(u, "x") - 0.01 * d(u, "x", "x")

An expression knows the derivatives of fields that it needs before anything is computed, so that all terms
share them. Derivatives of composite expressions follow from the chain rule: `d(k * d(u, "x"), "x")` is
`k_x u_x + k u_xx`.
"""

import functools
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.core.untrusted.shown import shown


class Expression:
    """A number at every point of a domain."""

    @abstractmethod
    def value(self, at: "Values") -> Any:
        """Return the value at all points, (n,) or a number."""

    @abstractmethod
    def parts(self) -> "tuple[Expression, ...]":
        """Return what it is made of."""

    @abstractmethod
    def differentiated(self, name: str) -> "Expression":
        """Return its derivative by a coordinate."""

    def walk(self) -> "Iterator[Expression]":
        """Yield the expression and everything that it is made of."""
        yield self
        for part in self.parts():
            yield from part.walk()

    def __add__(self, other: Any) -> "Expression":
        return _sum(self, expression(other))

    def __radd__(self, other: Any) -> "Expression":
        return _sum(expression(other), self)

    def __sub__(self, other: Any) -> "Expression":
        return _sum(self, -expression(other))

    def __rsub__(self, other: Any) -> "Expression":
        return _sum(expression(other), -self)

    def __mul__(self, other: Any) -> "Expression":
        return _product(self, expression(other))

    def __rmul__(self, other: Any) -> "Expression":
        return _product(expression(other), self)

    def __truediv__(self, other: Any) -> "Expression":
        return Apply(jnp.divide, self, expression(other))

    def __rtruediv__(self, other: Any) -> "Expression":
        return Apply(jnp.divide, expression(other), self)

    def __neg__(self) -> "Expression":
        return _product(Constant(-1.0), self)

    def __pow__(self, power: Any) -> "Expression":
        if isinstance(power, int) and not isinstance(power, bool):
            if power < 0:
                return 1.0 / self**-power
            return functools.reduce(_product, [self] * power, Constant(1.0))
        return Apply(jnp.power, self, expression(power))

    def __rpow__(self, base: Any) -> "Expression":
        return Apply(jnp.power, expression(base), self)


class Values:
    """What expressions are evaluated on: numbers at n points.

    Args:
        coordinates: (n,) by name.
        derivatives: (n,) by field and coordinates in order; a field itself is its derivative by none.
        parameters: a number by the name of each unknown coefficient.
        normals: components of the outward normal by coordinate, where points lie on a boundary.

    """

    def __init__(
        self,
        coordinates: Mapping[str, Any],
        derivatives: Mapping[tuple[str, tuple[str, ...]], Any],
        parameters: Mapping[str, Any],
        normals: Mapping[str, Any] | None = None,
    ) -> None:
        self.coordinates, self.derivatives = coordinates, derivatives
        self.parameters, self.normals = parameters, normals or {}


class Constant(Expression):
    """A number that is the same everywhere; it may be a setting, which differs between members."""

    def __init__(self, number: Any) -> None:
        self.number = number

    def value(self, at: Values) -> Any:
        """Return the number."""
        del at
        return self.number

    def parts(self) -> tuple[Expression, ...]:
        """Return nothing."""
        return ()

    def differentiated(self, name: str) -> Expression:
        """Return zero."""
        del name
        return ZERO

    def is_number(self, number: float) -> bool:
        """Return whether it is known to be this number; a traced setting is not."""
        return isinstance(self.number, int | float) and self.number == number


ZERO, ONE = Constant(0.0), Constant(1.0)


class Apply(Expression):
    """A smooth function of expressions, point by point; its derivative is JAX's own.

    Args:
        function: from numbers to a number, written with `jax.numpy`.
        arguments: expressions.

    """

    def __init__(self, function: Callable[..., Any], *arguments: Expression) -> None:
        self.function, self.arguments = function, arguments

    def value(self, at: Values) -> Any:
        """Return the function of the arguments' values."""
        return self.function(*(argument.value(at) for argument in self.arguments))

    def parts(self) -> tuple[Expression, ...]:
        """Return the arguments."""
        return self.arguments

    def differentiated(self, name: str) -> Expression:
        """Return the sum over arguments of the partial derivative times the argument's derivative."""
        total: Expression = ZERO
        for i, argument in enumerate(self.arguments):
            inner = argument.differentiated(name)
            if not (isinstance(inner, Constant) and inner.is_number(0.0)):
                total = total + Apply(_partial(self.function, i), *self.arguments) * inner
        return total


def expression(value: Any) -> Expression:
    """Return an expression as it is, and a number as one.

    Raises:
        UsageError: it is neither.

    """
    if isinstance(value, Expression):
        return value
    if isinstance(value, bool) or not (isinstance(value, int | float) or getattr(value, "shape", None) == ()):
        raise UsageError(f"an equation is made of fields, coordinates and numbers, got {shown(value)}")
    return Constant(float(value) if isinstance(value, int) else value)


def apply(function: Callable[..., Any], *arguments: Any) -> Expression:
    """Return a smooth function of `jax.numpy` (or of your own, made of them) of expressions."""
    return Apply(function, *(expression(argument) for argument in arguments))


def _sum(a: Expression, b: Expression) -> Expression:
    if isinstance(a, Constant) and a.is_number(0.0):
        return b
    if isinstance(b, Constant) and b.is_number(0.0):
        return a
    return Apply(jnp.add, a, b)


def _product(a: Expression, b: Expression) -> Expression:
    for one, other in ((a, b), (b, a)):
        if isinstance(one, Constant):
            if one.is_number(0.0):
                return ZERO
            if one.is_number(1.0):
                return other
    return Apply(jnp.multiply, a, b)


@functools.cache
def _partial(function: Callable[..., Any], place: int) -> Callable[..., Any]:
    """Return the partial derivative of a function of numbers, as a function of arrays."""

    def derivative(*arguments: Any) -> Any:
        arrays = jnp.broadcast_arrays(*(jnp.asarray(a) for a in arguments))
        kind = jnp.result_type(*arrays, float)
        moved = [
            jnp.zeros_like(a, kind) if i != place else jnp.ones_like(a, kind) for i, a in enumerate(arrays)
        ]
        return jax.jvp(function, [a.astype(kind) for a in arrays], moved)[1]

    return derivative
