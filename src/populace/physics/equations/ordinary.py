"""Ordinary differential equations."""

from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import jax.numpy as jnp

from populace.core.settings import setting
from populace.physics.equations.equation import Equation
from populace.physics.geometry.box import Interval
from populace.physics.geometry.shape import Time, TimeDomain
from populace.physics.problem.conditions import Initial
from populace.physics.problem.operators import d
from populace.physics.problem.problem import Problem
from populace.physics.problem.symbols import field


class TimeOnly(TimeDomain):
    """An interval of time and no space: what ordinary equations are solved on; its side is `initial`."""

    def __init__(self, begin: float, end: float, name: str = "t") -> None:
        self.interval, self.time, self.names = Time(begin, end, name), name, (name,)
        line = Interval(begin, end, name)
        self.low, self.high, self._line = line.low, line.high, line

    def contains(self, points: Any) -> Any:
        """Return which times lie in the interval."""
        return self._line.contains(points)

    def place(self, cube: Any) -> Any:
        """Return times of the interval."""
        return self._line.place(cube)

    @cached_property
    def fraction(self) -> float:
        """All of it."""
        return 1.0

    @property
    def sides(self) -> Any:
        """The start."""
        left = self._line.sides[0]

        def place(cube: Any) -> tuple[Any, Any]:
            points, normals = left.place(cube)
            return points, 0 * normals

        return (replace(left, name="initial", place=place),)


class Oscillator(Equation):
    r"""A damped harmonic oscillator, u'' + 2 damping u' + frequency^2 u = 0, u(0) = 1, u'(0) = 0, on [0, 1].

    For damping below frequency, with w = sqrt(frequency^2 - damping^2):

        u(t) = exp(-damping t) (cos(w t) + damping / w sin(w t))
    """

    kind: ClassVar[str] = "oscillator"

    damping: float = setting(2.0, low=0, help="damping, in radians per unit of time")
    frequency: float = setting(20.0, above=0, help="frequency without damping, in radians per unit of time")

    def define(self) -> Problem:
        """Return the problem."""
        u, delta, w0 = field("u"), self.damping, self.frequency

        def exact(at: Any) -> Any:
            t, w = at["t"], jnp.sqrt(w0**2 - delta**2 + 0.0 * at["t"])
            return jnp.exp(-delta * t) * (jnp.cos(w * t) + delta / w * jnp.sin(w * t))

        return Problem(
            TimeOnly(0, 1),
            {"oscillator": d(u, "t", "t") + 2 * delta * d(u, "t") + w0**2 * u},
            [Initial(u, 1.0, rate=0.0)],
            {"u": exact},
        )
