"""Chebyshev points: differentiation on the host, and interpolation inside programs."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np


def nodes(count: int, low: float, high: float) -> np.ndarray:
    """Return the extrema of the Chebyshev polynomial of degree count - 1, from `low` to `high`."""
    unit = -np.cos(math.pi * np.arange(count) / (count - 1))
    return (low + high) / 2 + (high - low) / 2 * unit


def differentiation(count: int, low: float, high: float) -> np.ndarray:
    """Return the matrix that takes values at the nodes to derivatives there, (count, count).

    Source: Trefethen 2000, "Spectral methods in MATLAB", chapter 6; the diagonal is minus the sum of its row.
    """
    x = nodes(count, low, high)
    scale = np.ones(count) * (-1.0) ** np.arange(count)
    scale[[0, -1]] *= 2
    gaps = x[:, None] - x + np.eye(count)
    matrix = scale[:, None] / scale / gaps
    np.fill_diagonal(matrix, 0.0)
    return matrix - np.diag(matrix.sum(1))


def basis(x: Any, count: int, low: float, high: float) -> Any:
    """Return the Lagrange polynomials of the nodes at points x (n,), (n, count).

    Interpolation is basis @ values. By the barycentric formula of the second kind. Source: Berrut and
    Trefethen 2004, "Barycentric Lagrange interpolation".
    """
    weights = (-1.0) ** np.arange(count)
    weights[[0, -1]] /= 2
    gaps = x[:, None] - jnp.asarray(nodes(count, low, high), x.dtype)
    there = gaps == 0
    terms = jnp.asarray(weights, x.dtype) / jnp.where(there, 1.0, gaps)
    inside = terms / jnp.sum(terms, 1, keepdims=True)
    return jnp.where(there.any(1, keepdims=True), there.astype(x.dtype), inside)
