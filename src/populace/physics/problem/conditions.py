"""Boundary and initial conditions; normals point outward: u grows outward where its flux is positive."""

from typing import Any

from populace.core.errors import UsageError
from populace.physics.geometry.shape import Geometry
from populace.physics.problem.expression import ZERO, Expression, expression
from populace.physics.problem.operators import d
from populace.physics.problem.symbols import Derivative, Normal
from populace.physics.problem.term import Condition, Term

Sides = str | tuple[str, ...] | list[str]


def normal_derivative(of: Any, domain: Geometry) -> Expression:
    """Return the derivative along the outward normal: the sum of n_i d(u, i) over coordinates of space."""
    return sum((Normal(name) * d(of, name) for name in domain.space), ZERO)


class Dirichlet(Condition):
    """u = value."""

    def __init__(self, of: Any, value: Any = 0.0, on: Sides = "boundary", name: str = "") -> None:
        self.of, self.value, self.on, self.name = expression(of), expression(value), on, name

    def terms(self, domain: Geometry) -> list[Term]:
        """Return one term."""
        return [_on_sides(self.name or _named("dirichlet", self), self.of - self.value, self.on, domain)]


class Neumann(Condition):
    """du/dn = flux, along the outward normal."""

    def __init__(self, of: Any, flux: Any = 0.0, on: Sides = "boundary", name: str = "") -> None:
        self.of, self.flux, self.on, self.name = expression(of), expression(flux), on, name

    def terms(self, domain: Geometry) -> list[Term]:
        """Return one term."""
        residual = normal_derivative(self.of, domain) - self.flux
        return [_on_sides(self.name or _named("neumann", self), residual, self.on, domain)]


class Robin(Condition):
    """a u + b du/dn = value, along the outward normal; a and b may be unknown coefficients."""

    def __init__(
        self, of: Any, a: Any, b: Any, value: Any = 0.0, on: Sides = "boundary", name: str = ""
    ) -> None:
        self.of, self.value, self.on, self.name = expression(of), expression(value), on, name
        self.a, self.b = expression(a), expression(b)

    def terms(self, domain: Geometry) -> list[Term]:
        """Return one term."""
        residual = self.a * self.of + self.b * normal_derivative(self.of, domain) - self.value
        return [_on_sides(self.name or _named("robin", self), residual, self.on, domain)]


class Periodic(Condition):
    """u, and by default du/dx too, are equal on the two sides of a box that face each other along `along`."""

    def __init__(self, of: Any, along: str = "x", order: int = 1, name: str = "") -> None:
        self.of, self.along, self.order, self.name = expression(of), along, order, name

    def terms(self, domain: Geometry) -> list[Term]:
        """Return a term for each order of derivative."""
        pair = {"x": ("left", "right"), "y": ("bottom", "top"), "z": ("back", "front")}
        names = list(domain.space)
        if self.along not in names:
            raise UsageError(f"periodic along '{self.along}': the coordinates are {', '.join(names)}")
        both = domain.chosen(pair["xyz"[names.index(self.along)]])
        name = self.name or _named("periodic", self)
        return [
            Term(name + "'" * order, d(self.of, *[self.along] * order), "pairs", both)
            for order in range(self.order + 1)
        ]


class Initial(Condition):
    """u = value at the start of time, and du/dt = rate where one is given."""

    def __init__(self, of: Any, value: Any = None, rate: Any = None, name: str = "") -> None:
        self.of, self.name = expression(of), name
        self.value = None if value is None else expression(value)
        self.rate = None if rate is None else expression(rate)
        if value is None and rate is None:
            raise UsageError("an initial condition needs a value, a rate, or both")

    def terms(self, domain: Geometry) -> list[Term]:
        """Return a term for the value and one for the rate."""
        if not domain.time:
            raise UsageError("an initial condition needs time; multiply the geometry by Time(begin, end)")
        name, found = self.name or _named("initial", self), []
        if self.value is not None:
            found.append(_on_sides(name, self.of - self.value, "initial", domain))
        if self.rate is not None:
            residual = d(self.of, domain.time) - self.rate
            found.append(_on_sides(f"{name} rate", residual, "initial", domain))
        return found


def _on_sides(name: str, residual: Expression, on: Sides, domain: Geometry) -> Term:
    return Term(name, residual, "sides", domain.chosen(on if isinstance(on, str) else tuple(on)))


def _named(kind: str, condition: Any) -> str:
    """Return a name that says which field it is of, where it is of one alone."""
    fields = sorted({part.field for part in condition.of.walk() if isinstance(part, Derivative)})
    sides = getattr(condition, "on", "boundary")
    where = "" if sides == "boundary" else " " + (sides if isinstance(sides, str) else "+".join(sides))
    return f"{kind} {'+'.join(fields)}{where}"
