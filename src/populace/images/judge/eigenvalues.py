"""Eigenvalues of a symmetric matrix by rotations, accurate for small ones too, in XLA's own operations."""

import jax
import jax.numpy as jnp
import numpy as np

_SWEEPS = 10


def eigenvalues(matrix: jax.Array) -> jax.Array:
    """Return the eigenvalues of a positive semidefinite matrix (d, d), in no order.

    Jacobi's method, all disjoint pairs of a round at once. LAPACK's routine leaves an error of one part in
    10^7 of the largest eigenvalue, which the root of a small one makes large; rotations keep the small ones
    of a matrix whose rows are scaled very differently. Cost `O(10 d^3)`.

    Source: G. Golub, C. Van Loan (2013), Matrix Computations, section 8.5; J. Demmel, K. Veselic (1992),
    Jacobi's Method is More Accurate than QR.
    """
    size = matrix.shape[0]
    even = size + size % 2
    padded = jnp.zeros((even, even), matrix.dtype).at[:size, :size].set(matrix)
    order = jnp.asarray(_next_pairs(even))
    half = even // 2

    def rotate(_: jax.Array, a: jax.Array) -> jax.Array:
        # Row i of the upper half is paired with row i of the lower half.
        p, q, off = jnp.diagonal(a)[:half], jnp.diagonal(a)[half:], jnp.diagonal(a, half)
        safe = jnp.where(off == 0, 1, off)
        tau = (q - p) / (2 * safe)
        t = jnp.where(tau >= 0, 1.0, -1.0) / (jnp.abs(tau) + jnp.sqrt(1 + tau**2))
        t = jnp.where(off == 0, 0, t)
        cos = jax.lax.rsqrt(1 + t**2)
        sin = t * cos

        def turned(a: jax.Array) -> jax.Array:
            upper, lower = a[:half], a[half:]
            return jnp.concatenate(
                [cos[:, None] * upper - sin[:, None] * lower, sin[:, None] * upper + cos[:, None] * lower]
            )

        a = turned(turned(a).T)
        # What a rotation sets to zero is zero, and the diagonal is known better than the products give it.
        diagonal = jnp.concatenate([p - t * off, q + t * off])
        places = jnp.arange(half)
        a = a.at[places, places + half].set(0).at[places + half, places].set(0)
        a = a.at[jnp.arange(even), jnp.arange(even)].set(diagonal)
        return a[order][:, order]

    rotated = jax.lax.fori_loop(0, _SWEEPS * (even - 1), rotate, padded)
    # After whole sweeps every row is back in its place, so what filled up is the last one.
    return jnp.diagonal(rotated)[:size]


def _next_pairs(size: int) -> np.ndarray:
    """Return the order of rows after which every one has another partner; `size - 1` times is the identity.

    A round-robin: the first stays, the others move on by one around the two halves.
    """
    half = size // 2
    circle = np.concatenate([np.arange(half), np.arange(size - 1, half - 1, -1)])
    moved = np.concatenate([circle[:1], circle[-1:], circle[1:-1]])
    order = np.empty(size, int)
    order[circle] = moved
    return order
