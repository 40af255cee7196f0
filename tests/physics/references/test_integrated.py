"""References that are integrated on the host, against other rules on other grids."""

import jax
import numpy as np
from scipy.integrate import solve_ivp

from populace.physics.references import chebyshev
from populace.physics.references.cavity import cavity, flow
from populace.physics.references.integrated import allen_cahn, lorenz, lorenz_on_host


def test_chebyshev_points_differentiate_and_interpolate_polynomials_exactly() -> None:
    x = chebyshev.nodes(9, -1.0, 3.0)
    values = x**7 - 2 * x**3
    assert np.allclose(chebyshev.differentiation(9, -1.0, 3.0) @ values, 7 * x**6 - 6 * x**2, atol=1e-9)
    with jax.enable_x64(True):
        at = np.concatenate([np.linspace(-1, 3, 11), x[2:4]])
        found = jax.jit(lambda x: chebyshev.basis(x, 9, -1.0, 3.0))(at) @ values
    assert np.allclose(found, at**7 - 2 * at**3, atol=1e-9)


def test_allen_cahn_is_what_finite_differences_find() -> None:
    """Of second order: a third of the difference of two grids is taken off."""

    def differences(cells: int) -> np.ndarray:
        x = np.linspace(-1, 1, cells + 1)

        def rate(_: float, u: np.ndarray) -> np.ndarray:
            curved = np.zeros_like(u)
            curved[1:-1] = 1e-2 * (u[2:] - 2 * u[1:-1] + u[:-2]) * (cells / 2) ** 2
            curved[1:-1] += 5 * (u[1:-1] - u[1:-1] ** 3)
            return curved

        start = x**2 * np.cos(np.pi * x)
        span = (0.0, 1.0)
        found = solve_ivp(rate, span, start, "LSODA", [0.5, 1.0], lband=1, uband=1, rtol=1e-8, atol=1e-8)
        return found.y[:: cells // 100].T

    coarse, fine = differences(200), differences(400)
    true = fine + (fine - coarse) / 3
    x = np.linspace(-1, 1, 101)
    with jax.enable_x64(True):
        at = np.tile(x, 2), np.repeat([0.5, 1.0], 101)
        found = np.asarray(jax.jit(lambda x, t: allen_cahn(x, t, 1e-2))(*at)).reshape(2, 101)
    assert np.abs(found - true).max() < 2e-5
    assert np.abs(found).max() > 0.9


def test_lorenz_is_what_runge_and_kutta_find() -> None:
    def rate(at: np.ndarray) -> np.ndarray:
        x, y, z = at
        return np.asarray([10 * (y - x), x * (15 - z) - y, x * y - 8 / 3 * z])

    at, step, seen = np.asarray([-8.0, 7.0, 27.0]), 3 / 3000, []
    for i in range(3000):
        if not i % 1000:
            seen.append(at)
        one = rate(at)
        two = rate(at + step / 2 * one)
        three = rate(at + step / 2 * two)
        at = at + step / 6 * (one + 2 * two + 2 * three + rate(at + step * three))
    true = np.stack([*seen, at], 1)
    system = (10.0, 15.0, 8 / 3), (-8.0, 7.0, 27.0), 3.0
    times = np.asarray([0.0, 1.0, 2.0, 3.0])
    assert np.allclose(lorenz_on_host(times, *system), true, atol=1e-7)
    with jax.enable_x64(True):
        assert np.allclose(jax.jit(lambda t: lorenz(t, *system))(times), true, atol=1e-7)


def test_the_cavity_has_the_published_center_lines() -> None:
    """At Re = 100: Botella and Peyret 1998, a spectral solution; extremes of second order in h."""
    found = []
    for cells in (40, 80):
        _, u, v = flow(100.0, cells)
        middle = cells // 2
        x = np.linspace(0, 1, cells + 1)
        low = np.polyfit(x[middle - 6 : middle + 3], u[middle, middle - 6 : middle + 3], 6)
        fine = np.linspace(0.35, 0.55, 4001)
        found.append([np.polyval(low, fine).min(), v[:, middle].max(), v[:, middle].min()])
    coarse, fine = np.asarray(found)
    assert np.abs(fine - [-0.2140424, 0.1795728, -0.2538030]).max() < 3e-3
    assert abs((4 * fine[0] - coarse[0]) / 3 + 0.2140424) < 5e-4
    with jax.enable_x64(True):
        at = np.asarray([0.5, 0.30, 0.6150]), np.asarray([1.0, 0.5, 0.7375])
        psi = np.asarray(jax.jit(lambda x, y: cavity(x, y, 100.0))(*at))
    assert np.isclose(psi[0], 0.0, atol=1e-12)
    assert np.isclose(psi[1], flow(100.0, 120)[0][36, 60])
    assert abs(psi[2] + 0.1035212) < 5e-4  # the center of the vortex
