"""Problem: equations on a domain, with conditions and, where there is one, an exact solution."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from populace.core.errors import UsageError, unknown
from populace.physics.geometry.shape import Geometry
from populace.physics.problem.expression import Expression, Values, expression
from populace.physics.problem.neumann import floating
from populace.physics.problem.symbols import Coordinate, Derivative, Normal, Unknown
from populace.physics.problem.term import Condition, Term

Exact = Expression | float | Callable[[Mapping[str, Any]], Any]


class Problem:
    """What is to be solved.

        x, u = ph.coordinate("x"), ph.field("u")
        ph.Problem(
            ph.Interval(0, 1),
            equations={"poisson": ph.d(u, "x", "x") + math.pi**2 * ph.sin(math.pi * x)},
            conditions=[ph.Dirichlet(u, 0.0)],
            exact={"u": ph.sin(math.pi * x)},
        )

    Args:
        domain: a geometry, times an interval of time where there is one.
        equations: expressions that are zero inside, by name, or a list of them.
        conditions: of the boundary, the start, and data.
        exact: the solution by field, where it is known: an expression of the coordinates, or a function from
            coordinates by name, (n,) each, to values (n,). It is only compared with; not where it is NaN.
        hard: conditions that hold by construction: by field, expressions of the coordinates (lift, distance);
            the field is then `lift + distance * network`.
        weights: factors on the mean squares of terms, by name; 1 for those that are not named.
        up_to_constant: fields that the problem determines up to a constant: errors are measured without it.
            Those that only derivatives name, such as under fluxes on all sides, are found without.

    Raises:
        UsageError: a name that is no coordinate or field, a side that the geometry lacks, or another part
            that does not fit.

    """

    def __init__(
        self,
        domain: Geometry,
        equations: Mapping[str, Any] | Sequence[Any],
        conditions: Sequence[Condition] = (),
        exact: Mapping[str, Exact] | None = None,
        hard: Mapping[str, tuple[Any, Any]] | None = None,
        weights: Mapping[str, Any] | None = None,
        up_to_constant: Sequence[str] = (),
    ) -> None:
        self.domain, self.exact, self.up_to_constant = domain, dict(exact or {}), tuple(up_to_constant)
        named = equations if isinstance(equations, Mapping) else _numbered(equations)
        if not named:
            raise UsageError("a problem needs at least one equation")
        self.equations = {name: expression(e) for name, e in named.items()}
        self.terms = [Term(name, e) for name, e in self.equations.items()]
        for condition in conditions:
            if not isinstance(condition, Condition):
                raise UsageError(f"conditions are Dirichlet, Neumann, ..., got {type(condition).__name__}")
            self.terms += condition.terms(domain)
        self._check_names()
        self.hard = {f: (expression(a), expression(b)) for f, (a, b) in (hard or {}).items()}
        for name in [*self.exact, *self.hard, *self.up_to_constant]:
            if name not in self.fields:
                raise unknown("field", name, self.fields, where=" of the problem")
        self.up_to_constant += floating(self.terms, self.fields, {*self.hard, *self.up_to_constant})
        for lift in (e for pair in self.hard.values() for e in pair):
            for part in lift.walk():
                if isinstance(part, Derivative | Normal | Unknown):
                    raise UsageError("hard conditions are made of coordinates and numbers only")
                self._check_part(part, "a hard condition", boundary=False)
        self.weights = dict(weights or {})
        for name in self.weights:
            if name not in self.term_names:
                raise unknown("term", name, self.term_names, where=" of the loss")

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields, in the order in which the equations name them first."""
        found = [p.field for e in self.equations.values() for p in e.walk() if isinstance(p, Derivative)]
        if not found:
            raise UsageError("no equation names a field; make one with field('u')")
        return tuple(dict.fromkeys(found))

    @property
    def term_names(self) -> tuple[str, ...]:
        """Names of the terms of the loss."""
        return tuple(term.name for term in self.terms)

    @cached_property
    def unknowns(self) -> dict[str, Unknown]:
        """Coefficients that are learned, by name."""
        found: dict[str, Unknown] = {}
        for term in self.terms:
            for part in term.residual.walk():
                if isinstance(part, Unknown) and found.setdefault(part.name, part) is not part:
                    raise UsageError(f"two unknown coefficients are called '{part.name}'; use one object")
        return found

    @property
    def has_data(self) -> bool:
        """Whether there are measured values."""
        return any(term.region == "data" for term in self.terms)

    def exact_values(self, field: str, coordinates: Mapping[str, Any]) -> Any:
        """Return the exact solution at points, from coordinates (n,) by name."""
        known = self.exact[field]
        if callable(known):
            return known(coordinates)
        return expression(known).value(Values(coordinates, {}, {})) + 0.0 * coordinates[self.domain.names[0]]

    def _check_names(self) -> None:
        if len(set(self.term_names)) < len(self.terms):
            twice = next(n for n in self.term_names if self.term_names.count(n) > 1)
            raise UsageError(f"two terms of the loss are called '{twice}'; give the condition a name")
        for term in self.terms:
            for part in term.residual.walk():
                self._check_part(part, f"'{term.name}'", boundary=term.region == "sides")
        _ = self.fields, self.unknowns

    def _check_part(self, part: Expression, where: str, *, boundary: bool) -> None:
        names = self.domain.names
        if isinstance(part, Derivative):
            if part.field in names:
                raise UsageError(f"{where} takes '{part.field}' for a field, and it is a coordinate")
            if part.field not in self.fields:
                raise unknown("field", part.field, self.fields, where=f" in {where}")
            for name in part.by:
                if name not in names:
                    raise unknown("coordinate", name, names, where=f" in a derivative of {where}")
        elif isinstance(part, Coordinate) and part.name not in names:
            raise unknown("coordinate", part.name, names, where=f" in {where}")
        elif isinstance(part, Normal):
            if not boundary:
                raise UsageError(f"{where} has a normal, and normals are on the boundary only")
            if part.name not in names:
                raise unknown("coordinate", part.name, names, where=f" of a normal in {where}")


def _numbered(equations: Sequence[Any]) -> dict[str, Any]:
    if len(equations) == 1:
        return {"equation": equations[0]}
    return {f"equation {i}": e for i, e in enumerate(equations)}
