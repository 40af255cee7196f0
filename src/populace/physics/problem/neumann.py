"""Problems that know a field by its derivatives only: it is determined up to a constant, if at all.

With -u'' = f inside and du/dn = g all around, the divergence theorem asks that the integral of f over the
domain and that of g over its boundary cancel. Where they do not there is no solution, and training would find
something that is none.
"""

from typing import Any

import numpy as np

from populace.core.errors import UsageError
from populace.physics.geometry.side import unit_points
from populace.physics.problem.expression import Expression, Values
from populace.physics.problem.symbols import Derivative, Unknown
from populace.physics.problem.term import Term

_SLACK = 0.02
_ROUNDING = 1e-4


def floating(terms: list[Term], fields: tuple[str, ...], hard: Any) -> tuple[str, ...]:
    """Return the fields that no term names without a derivative, and that no hard condition holds."""
    named = {
        part.field
        for term in terms
        if term.region != "pairs"  # of which only differences count
        for part in term.residual.walk()
        if isinstance(part, Derivative) and not part.by
    }
    return tuple(field for field in fields if field not in named and field not in hard)


def check_compatible(problem: Any) -> None:
    """Refuse Poisson's equation with fluxes all around that no source can balance.

    Only what is linear with one coefficient a in a (u_xx + u_yy + ...) + f is looked at, with fluxes on all
    sides of the boundary; integrals are from 4,096 quasi-random points.

    Raises:
        UsageError: the fluxes and the source do not cancel.

    """
    domain = problem.domain
    if domain.time or len(problem.fields) != 1 or problem.fields[0] not in problem.up_to_constant:
        return
    field, equations = problem.fields[0], list(problem.equations.values())
    conditions = [term for term in problem.terms if term.region != "inside"]
    if len(equations) != 1 or any(isinstance(p, Unknown) for t in problem.terms for p in t.residual.walk()):
        return
    inside = domain.place(unit_points(len(domain.names)))
    inside = inside[domain.contains(inside)]
    volume = float(np.prod(domain.high - domain.low)) * domain.fraction
    second = [(field, (name, name)) for name in domain.names]
    found = _linear(equations[0], dict(zip(domain.names, inside.T)), {}, second)
    if found is None:
        return
    source, (first, *others) = found
    if not np.ptp(first) < _ROUNDING * abs(first[0]) or any(
        np.abs(o - first).max() > _ROUNDING * abs(first[0]) for o in others
    ):
        return
    total = volume * np.mean(source) / first[0]
    size = volume * np.mean(np.abs(source)) / abs(first[0])
    covered = 0.0
    for term in conditions:
        for side in term.sides:
            cube = unit_points(side.dimensions)
            points, normals = side.place(cube)
            if side.keep is not None:
                kept = np.asarray(side.keep(points, normals))
                points, normals = points[kept], normals[kept]
            outward = dict(zip(domain.names, normals.T))
            slopes = [(field, (name,)) for name in domain.names]
            found = _linear(term.residual, dict(zip(domain.names, points.T)), outward, slopes)
            if term.region != "sides" or found is None:
                return
            rest, along = found
            factor = sum(a * n for a, n in zip(along, normals.T))
            area = side.measure * side.fraction
            total -= area * np.mean(rest / factor)
            size += area * np.mean(np.abs(rest / factor))
            covered += area
    whole = sum(side.measure * side.fraction for side in domain.sides)
    if covered >= (1 - _ROUNDING) * whole and abs(total) > _SLACK * size:
        raise UsageError(
            f"'{field}' has fluxes on the whole boundary that do not balance the source, so there is no "
            f"solution: flux out of the domain and integral of the source sum to {total:.3g}, and must to 0"
        )


def _linear(
    wanted: Expression, at: dict[str, Any], normals: dict[str, Any], by: list[Any]
) -> tuple[np.ndarray, list[np.ndarray]] | None:
    """Return what an expression is without derivatives, and its coefficient of each; None if not linear."""
    needed = {(p.field, p.by) for p in wanted.walk() if isinstance(p, Derivative)}
    if needed - set(by):
        return None
    count = len(next(iter(at.values())))

    def value(derivatives: dict[Any, float]) -> np.ndarray:
        known = {key: derivatives.get(key, 0.0) * np.ones(count) for key in needed}
        return np.broadcast_to(np.asarray(wanted.value(Values(at, known, {}, normals)), float), (count,))

    rest = value({})
    slopes = [value({key: 1.0}) - rest for key in by]
    every = value(dict.fromkeys(by, 2.0)) - rest
    straight = 2 * np.sum(slopes, 0)
    size = np.abs(straight).max() + np.abs(rest).max()
    return (rest, slopes) if np.abs(every - straight).max() <= _ROUNDING * size else None
