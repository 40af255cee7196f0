"""Reference solutions that SciPy integrates on the host: Allen and Cahn's equation, and Lorenz' system."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp
from scipy.interpolate import BarycentricInterpolator

from populace.physics.references.chebyshev import basis, differentiation, nodes

_SPACE, _TIME, _ORBIT = 401, 41, 161


def allen_cahn(x: Any, t: Any, diffusivity: float) -> Any:
    """Return u(x, t), (n,), of u_t = D u_xx + 5 (u - u^3), u(x, 0) = x^2 cos(pi x), u = -1 at both ends.

    By collocation at 401 Chebyshev points of space, and LSODA in time.
    """
    values = _allen_cahn(diffusivity)
    along, over = basis(x, _SPACE, -1.0, 1.0), basis(t, _TIME, 0.0, 1.0)
    return ((along @ values.astype(x.dtype)) * over).sum(1)


@functools.cache
def _allen_cahn(diffusivity: float) -> np.ndarray:
    x = nodes(_SPACE, -1.0, 1.0)
    matrix = differentiation(_SPACE, -1.0, 1.0)
    second = diffusivity * (matrix @ matrix)
    # Values at the ends do not change.
    second[[0, -1]] = 0.0
    moves = np.ones(_SPACE)
    moves[[0, -1]] = 0.0

    def rate(_: float, u: np.ndarray) -> np.ndarray:
        return second @ u + moves * 5 * (u - u**3)

    def jacobian(_: float, u: np.ndarray) -> np.ndarray:
        return second + np.diag(moves * 5 * (1 - 3 * u**2))

    start = x**2 * np.cos(np.pi * x)
    times = nodes(_TIME, 0.0, 1.0)
    return _integrated(rate, start, times, "LSODA", 1e-9, jacobian).T


def lorenz(t: Any, coefficients: tuple[float, float, float], start: tuple[float, ...], end: float) -> Any:
    """Return (x, y, z)(t), (3, n), of x' = s (y - x), y' = x (r - z) - y, z' = x y - b z on [0, end]."""
    return (basis(t, _ORBIT, 0.0, end) @ _lorenz(coefficients, start, end).astype(t.dtype)).T


def lorenz_on_host(
    times: np.ndarray, coefficients: tuple[float, float, float], start: tuple[float, ...], end: float
) -> np.ndarray:
    """Return (x, y, z) at times, (3, n), without a program."""
    return BarycentricInterpolator(nodes(_ORBIT, 0.0, end), _lorenz(coefficients, start, end))(times).T


@functools.cache
def _lorenz(coefficients: tuple[float, float, float], start: tuple[float, ...], end: float) -> np.ndarray:
    s, r, b = coefficients

    def rate(_: float, at: np.ndarray) -> np.ndarray:
        x, y, z = at
        return np.asarray([s * (y - x), x * (r - z) - y, x * y - b * z])

    return _integrated(rate, np.asarray(start), nodes(_ORBIT, 0.0, end), "DOP853", 1e-12)


def _integrated(
    rate: Callable[[float, np.ndarray], np.ndarray],
    start: np.ndarray,
    times: np.ndarray,
    method: Any,
    accuracy: float,
    jacobian: Any = None,
) -> np.ndarray:
    """Return the states at times, (times, k)."""
    given = {} if jacobian is None else {"jac": jacobian}
    span = (times[0], times[-1])
    return solve_ivp(rate, span, start, method, times, rtol=accuracy, atol=accuracy, **given).y.T
