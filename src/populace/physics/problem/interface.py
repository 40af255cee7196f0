"""Conditions where two materials meet, inside the domain."""

from dataclasses import replace
from typing import Any

from populace.core.errors import UsageError
from populace.physics.geometry.shape import Geometry
from populace.physics.geometry.side import Side
from populace.physics.problem.conditions import normal_derivative
from populace.physics.problem.expression import expression
from populace.physics.problem.term import Condition, Term

_NEAR = 1e-6


class Interface(Condition):
    """What holds on the boundary of a region inside the domain, with its outward normal n.

        inner - outer = jump,    k_inner d(inner)/dn - k_outer d(outer)/dn = flux_jump

    `inner` is the field of the region, `outer` that of the rest; only that part of the region's boundary
    counts that lies inside the domain. Their equations are restricted by `indicator`:

        part = ph.Interval(0, 0.4)
        {"inner": ph.indicator(part) * (2 * ph.d(u, "x", "x") + f), ...}

    Args:
        inner: a field or an expression.
        outer: another.
        region: a geometry in the domain's coordinates of space.
        inner_factor: k_inner, such as a conductivity; an expression too.
        outer_factor: k_outer.
        jump: of the fields.
        flux_jump: of the fluxes.
        name: of the terms.

    """

    def __init__(
        self,
        inner: Any,
        outer: Any,
        region: Geometry,
        inner_factor: Any = 1.0,
        outer_factor: Any = 1.0,
        jump: Any = 0.0,
        flux_jump: Any = 0.0,
        name: str = "interface",
    ) -> None:
        self.inner, self.outer, self.region = expression(inner), expression(outer), region
        self.inner_factor, self.outer_factor = expression(inner_factor), expression(outer_factor)
        self.jump, self.flux_jump, self.name = expression(jump), expression(flux_jump), name

    def terms(self, domain: Geometry) -> list[Term]:
        """Return a term for the fields and one for the fluxes."""
        if self.region.names != domain.space:
            raise UsageError(
                f"the region of an interface is in {', '.join(self.region.names)}, and the domain in "
                f"{', '.join(domain.space)}"
            )
        whole = domain.through_time(self.region)
        sides = tuple(
            cut for side in whole.sides if side.name != "initial" and (cut := _within(side, domain)).fraction
        )
        if not sides:
            raise UsageError("an interface needs a region whose boundary lies inside the domain")
        fluxes = self.inner_factor * normal_derivative(self.inner, domain) - (
            self.outer_factor * normal_derivative(self.outer, domain)
        )
        return [
            Term(self.name, self.inner - self.outer - self.jump, "sides", sides),
            Term(f"{self.name} flux", fluxes - self.flux_jump, "sides", sides),
        ]


def _within(side: Side, domain: Geometry) -> Side:
    """Return the part of a side that has the domain on both hands."""
    step = _NEAR * float((domain.high - domain.low).max())

    def keep(points: Any, normals: Any) -> Any:
        found = domain.contains(points - step * normals) & domain.contains(points + step * normals)
        return found if side.keep is None else found & side.keep(points, normals)

    return replace(side, keep=keep)
