"""Singular values of the Jacobians along a chain: all of them exactly, or the largest by Lanczos.

Values are base-10 logarithms throughout, because products of Jacobians leave every float format.
"""

import math
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from populace.analysis.chain import Chain

Values = tuple[np.ndarray, ...]
_EPS = float(np.finfo(np.float64).eps)


def exact(chain: Chain) -> Values:
    """Return the logarithms of all singular values of `J_1 ... J_n`, each sorted downwards.

    `J_l = D_l J_(l-1)` is multiplied out in float64 from dense link Jacobians. A value below about
    1e-16 times the largest cannot be told from zero and is given as minus infinity. Cost: O(w^3) for
    each link of width w.
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
    """Return the logarithm of the largest singular value of `J_1 ... J_n`, and whether all converged.

    No Jacobian is formed: `golub_kahan` asks for products with it and with its transpose. It starts
    from the singular vector that was found one link earlier. Cost: O(n^2 k) links, k about 5 to 30.
    """
    draws = np.random.default_rng(seed)
    start, log_scale, found, converged = np.zeros(chain.sizes[0]), 0.0, [], True
    for link in range(len(chain.sizes) - 1):
        # A little noise, since a start that misses the wanted direction altogether never finds it.
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
    """Return the largest singular value of a linear map, its right vector, and whether it converged.

    Power iteration on `J^T J` that forgets no direction it has seen: k steps give orthonormal U, V and
    an upper bidiagonal B with `J V = U B`, and the largest singular value of B grows towards that of J.

        alpha_k u_k = J v_k - beta_(k-1) u_(k-1)
        beta_k v_(k+1) = J^T u_k - alpha_k v_k

    It has converged when the residual `beta_k |p_k|` of the leading vector p of B is at most `tolerance`
    times the value; where the next value is well below, its error is then of the order of `tolerance^2`.
    It is never too large. Cost: 2 products a step.

    Args:
        push: v to `J v`.
        pull: u to `J^T u`.
        start: first direction, not 0.
        tolerance: relative residual to stop at.
        most: steps at the most.

    Source: Golub and Kahan 1965, "Calculating the Singular Values and Pseudo-Inverse of a Matrix".

    """
    V, U = [start / np.linalg.norm(start)], []
    alphas, betas = [], []
    value, vector = 0.0, V[0]
    for _ in range(most):
        u = _orthogonal(push(V[-1]), U)
        alphas.append(float(np.linalg.norm(u)))
        # A start in the null space: J is 0 as far as a random direction can tell.
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
    """Take the part of x along the basis away, twice: once leaves a part as large as the rounding."""
    for _ in range(2 if basis else 0):
        Q = np.stack(basis)
        x = x - Q.T @ (Q @ x)
    return x
