"""Linear systems of a positive definite matrix, by matrix products that XLA runs itself.

On CPU `jax.scipy.linalg.cho_solve` calls LAPACK, which waits for threads of the pool that runs the program.
In a program on two CPU devices with two cores, every thread of the pool then waits for another, for ever
(jaxlib 0.10.2, batches of matrices). It also calls a BLAS with threads of its own, which made a step sixty
times slower on a busy machine. So here the factor is made a block of columns at a time: all work but that
within a block is one matrix product.
"""

import jax
import jax.numpy as jnp
from jax import lax

_BLOCK = 32


def solve_positive(matrix: jax.Array, right: jax.Array) -> jax.Array:
    """Return x with A x = b for a symmetric positive definite A (P, P) and b (P,); NaN where A is not.

    A left-looking Cholesky factorization by blocks. The right side is its last row, so that the factor ends
    in the solution of L y = b.
    """
    size = len(right)
    if jax.default_backend() != "cpu":
        return jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(matrix, lower=True), right)
    blocks = -(-size // _BLOCK)
    whole = blocks * _BLOCK
    padded = jnp.eye(whole, dtype=matrix.dtype).at[:size, :size].set(matrix)
    below = jnp.zeros((1, whole), matrix.dtype).at[0, :size].set(right)
    both = jnp.concatenate([padded, below])

    def block(number: jax.Array, factor: jax.Array) -> jax.Array:
        begin = number * _BLOCK
        rows = lax.dynamic_slice_in_dim(factor, begin, _BLOCK, 0)
        panel = lax.dynamic_slice_in_dim(both, begin, _BLOCK, 1) - factor @ rows.T
        panel = lax.fori_loop(0, _BLOCK, lambda k, p: _column(p, begin, k), panel)
        return lax.dynamic_update_slice_in_dim(factor, panel, begin, 1)

    factor = lax.fori_loop(0, blocks, block, jnp.zeros_like(both))
    lower, forward = factor[:-1], factor[-1]

    def back(i: jax.Array, x: jax.Array) -> jax.Array:
        k = whole - 1 - i
        column = lax.dynamic_slice_in_dim(lower, k, 1, 1)[:, 0]
        return x.at[k].set((forward[k] - column @ x) / column[k])

    return lax.fori_loop(0, whole, back, jnp.zeros_like(forward))[:size]


def _column(panel: jax.Array, begin: jax.Array, k: jax.Array) -> jax.Array:
    """Finish one column of a block, and take its part out of the columns to its right."""
    column = lax.dynamic_slice_in_dim(panel, k, 1, 1)[:, 0]
    at = jnp.arange(len(column), dtype=jnp.int32)
    done = jnp.where(at >= begin + k, column / jnp.sqrt(column[begin + k]), 0.0)
    beside = lax.dynamic_slice_in_dim(done, begin, panel.shape[1], 0)
    right = jnp.where(jnp.arange(panel.shape[1], dtype=jnp.int32) > k, beside, 0.0)
    panel = panel - done[:, None] * right
    return lax.dynamic_update_slice_in_dim(panel, done[:, None], k, 1)
