"""Inverse problems: coefficients that are learned from noisy data, together with the solution."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.settings import setting
from populace.physics.equations.equation import Equation
from populace.physics.geometry.box import Interval
from populace.physics.geometry.shape import Time
from populace.physics.problem.conditions import Dirichlet, Initial
from populace.physics.problem.data import Data
from populace.physics.problem.operators import d, exp, sin
from populace.physics.problem.problem import Problem
from populace.physics.problem.symbols import coordinate, field, unknown_coefficient
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
