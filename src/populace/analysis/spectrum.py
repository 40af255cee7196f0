"""Singular values of the Jacobians along a chain: all of them by SVD, or the largest by Lanczos.

Values are base-10 logarithms throughout, because products of Jacobians overflow any float format.
"""

import math
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from populace.analysis.chain import Chain

Values = tuple[np.ndarray, ...]
_EPS = float(np.finfo(np.float64).eps)


def exact(chain: Chain) -> Values:
    """Return the logarithms of all singular values of each of `J_1 ... J_n`, in descending order.

    `J_l = D_l J_(l-1)` is computed in float64 from dense link Jacobians. A value below about 1e-16 times the
    largest cannot be distinguished from zero and is returned as minus infinity. Cost: O(w^3) per link of
    width w.
    """
    product, log_scale, found = np.eye(chain.sizes[0]), 0.0, []
    for link in range(len(chain.sizes) - 1):
        product = chain.dense(link) @ product
        values = np.linalg.svd(product, compute_uv=False)
        values[values < max(product.shape) * _EPS * values[0]] = 0.0
        with np.errstate(divide="ignore"):
            found.append(np.log10(values) + log_scale)
        if values[0] > 0:
            product /= values[0]
            log_scale += math.log10(values[0])
    return tuple(found)


def leading(chain: Chain, *, tolerance: float = 1e-3, most: int = 100, seed: int = 0) -> tuple[Values, bool]:
    """Return the logarithm of the largest singular value of each of `J_1 ... J_n`, and whether all converged.

    No Jacobian is formed: `golub_kahan` needs only products with it and with its transpose. It starts from
    the singular vector of the previous link. Cost: O(n^2 k) link evaluations, with k about 5 to 30.
    """
    draws = np.random.default_rng(seed)
    start, log_scale, found, converged = np.zeros(chain.sizes[0]), 0.0, [], True
    for link in range(len(chain.sizes) - 1):
        # Some noise, because a start orthogonal to the leading direction never finds it.
        noise = draws.normal(size=start.size)
        start = start + 0.1 * noise / np.linalg.norm(noise)
        value, start, sure = golub_kahan(
            lambda v, n=link + 1: np.asarray(chain.push(jnp.asarray(v), n), np.float64),
            lambda u, n=link + 1: np.asarray(chain.pull(jnp.asarray(u), n), np.float64),
            start, tolerance=tolerance, most=most,
        )  # fmt: skip
        converged &= sure
        if value > 0:
            chain.log_scales[link] = math.log10(value)
            log_scale += chain.log_scales[link]
        found.append(np.asarray([log_scale if value > 0 else -math.inf]))
    return tuple(found), converged


def golub_kahan(
    push: Callable[[np.ndarray], np.ndarray],
    pull: Callable[[np.ndarray], np.ndarray],
    start: np.ndarray,
    *,
    tolerance: float = 1e-3,
    most: int = 100,
) -> tuple[float, np.ndarray, bool]:
    """Return the largest singular value of a linear map, its right singular vector, and whether it converged.

    Golub-Kahan-Lanczos bidiagonalization with full reorthogonalization: k steps give orthonormal U, V and an
    upper bidiagonal B with `J V = U B`, and the largest singular value of B increases toward that of J.

        alpha_k u_k = J v_k - beta_(k-1) u_(k-1)
        beta_k v_(k+1) = J^T u_k - alpha_k v_k

    It has converged when the residual `beta_k |p_k|` of the leading vector p of B is at most `tolerance`
    times the value; if the second value is well separated, the error is then of the order of `tolerance^2`.
    The value is never overestimated. Cost: 2 products per step.

    Args:
        push: maps v to `J v`.
        pull: maps u to `J^T u`.
        start: initial direction, nonzero.
        tolerance: relative residual at which to stop.
        most: maximum number of steps.

    Source: Golub and Kahan 1965, "Calculating the Singular Values and Pseudo-Inverse of a Matrix".

    """
    V, U = [start / np.linalg.norm(start)], []
    alphas, betas = [], []
    value, vector = 0.0, V[0]
    for _ in range(most):
        u = _orthogonal(push(V[-1]), U)
        alphas.append(float(np.linalg.norm(u)))
        # The start is in the null space, so to a random direction J looks like 0.
        if not alphas[0]:
            return 0.0, V[0], True
        U.append(u / alphas[-1] if alphas[-1] else u)
        v = _orthogonal(pull(U[-1]), V)
        beta = float(np.linalg.norm(v))
        B = np.diag(alphas) + np.diag(betas, 1)
        P, s, Qt = np.linalg.svd(B)
        value, vector = float(s[0]), Qt[0] @ np.stack(V)
        if beta * abs(P[-1, 0]) <= tolerance * value or len(V) == start.size or not alphas[-1]:
            return value, vector, True
        V.append(v / beta)
        betas.append(beta)
    return value, vector, False


def _orthogonal(x: np.ndarray, basis: list[np.ndarray]) -> np.ndarray:
    """Project x onto the complement of the basis, twice: once leaves a component as large as rounding."""
    for _ in range(2 if basis else 0):
        Q = np.stack(basis)
        x = x - Q.T @ (Q @ x)
    return x
