"""Inverse problems: coefficients that are learned from noisy data, together with the solution."""

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.settings import setting
from populace.physics.equations.equation import Equation
from populace.physics.equations.ordinary import TimeOnly
from populace.physics.geometry.box import Interval
from populace.physics.geometry.shape import Time
from populace.physics.problem.conditions import Dirichlet, Initial
from populace.physics.problem.data import Data
from populace.physics.problem.operators import d, exp, sin
from populace.physics.problem.problem import Problem
from populace.physics.problem.symbols import coordinate, field, unknown_coefficient
from populace.physics.references.integrated import lorenz, lorenz_on_host
from populace.physics.sampling.cube import sobol


class InverseDiffusion(Equation):
    """u_t = C u_xx + (pi^2 - 1) exp(-t) sin(pi x) on [-1, 1] for t in [0, 1], with C to be found.

    The data are exp(-t) sin(pi x), the solution for C = 1, at points of the Sobol sequence, with errors
    that are normal and known in size. Ends and start are as in the solution. The problem is that of
    DeepXDE's example of a diffusion equation with an unknown coefficient, there without noise.
    """

    kind: ClassVar[str] = "inverse-diffusion"

    noise: float = setting(0.01, above=0, help="standard deviation of the errors of the data")
    data_seed: float = setting(0.0, low=0, help="which errors, a whole number; it may differ between members")
    data_points: int = setting(40, low=2, help="measured points")
    start: float = setting(2.0, help="coefficient that training begins with")

    def define(self) -> Problem:
        """Return the problem."""
        x, t, u = coordinate("x"), coordinate("t"), field("u")
        solution = exp(-1.0 * t) * sin(math.pi * x)
        points = np.asarray([-1.0, 0.0]) + (sobol(self.data_points + 1, 2)[1:] * np.asarray([2.0, 1.0]))
        exact = np.exp(-points[:, 1]) * np.sin(math.pi * points[:, 0])
        key = jax.random.fold_in(jax.random.key(31), jnp.asarray(self.data_seed).astype(jnp.uint32))
        errors = jax.random.normal(key, (self.data_points,), jnp.float32)
        coefficient = unknown_coefficient("C", self.start, true=1.0)
        return Problem(
            Interval(-1, 1) * Time(0, 1),
            {"diffusion": d(u, "t") - coefficient * d(u, "x", "x") - (math.pi**2 - 1) * solution},
            [
                Dirichlet(u, 0.0),
                Initial(u, sin(math.pi * x)),
                Data(u, points, exact + self.noise * errors, noise=self.noise),
            ],
            {"u": solution},
        )


class InverseLorenz(Equation):
    """Lorenz' system on [0, 3], whose three coefficients are to be found from noisy values of all fields.

        x' = s (y - x),   y' = x (r - z) - y,   z' = x y - b z

    The data are the solution for (s, r, b) = (10, 15, 8/3) from (-8, 7, 27), at equal steps, with normal
    errors of known size. Training begins with coefficients of 1. Source: DeepXDE's example of an inverse
    problem for the Lorenz system, there without noise.
    """

    kind: ClassVar[str] = "inverse-lorenz"

    noise: float = setting(0.01, above=0, help="standard deviation of the errors of the data")
    data_seed: float = setting(0.0, low=0, help="which errors, a whole number; it may differ between members")
    data_points: int = setting(25, low=3, help="measured times")

    def define(self) -> Problem:
        """Return the problem."""
        true, start, end = (10.0, 15.0, 8 / 3), (-8.0, 7.0, 27.0), 3.0
        x, y, z = field("x"), field("y"), field("z")
        s, r, b = (unknown_coefficient(n, 1.0, true=v) for n, v in zip(("s", "r", "b"), true))
        times = np.linspace(0, end, self.data_points + 1)[1:]
        exact = lorenz_on_host(times, true, start, end)
        key = jax.random.fold_in(jax.random.key(37), jnp.asarray(self.data_seed).astype(jnp.uint32))
        errors = self.noise * jax.random.normal(key, (3, self.data_points), jnp.float32)

        def solution(number: int) -> Any:
            return lambda at: lorenz(at["t"], true, start, end)[number]

        return Problem(
            TimeOnly(0, end),
            {
                "lorenz x": d(x, "t") - s * (y - x),
                "lorenz y": d(y, "t") - x * (r - z) + y,
                "lorenz z": d(z, "t") - x * y + b * z,
            },
            [
                *(Initial(f, v) for f, v in zip((x, y, z), start)),
                *(Data(f, times, exact[i] + errors[i], noise=self.noise) for i, f in enumerate((x, y, z))),
            ],
            {name: solution(number) for number, name in enumerate(("x", "y", "z"))},
        )
