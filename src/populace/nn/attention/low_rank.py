"""Low-rank attention: the distance of the context matrix from low rank, and attention that exploits it.

Wang et al. 2020, "Linformer: Self-Attention with Linear Complexity", arXiv:2006.04768: the context matrix A =
softmax(Q K^T / sqrt(d)) is close to low rank. Eckart and Young 1936: the closest matrix of a given rank is
the truncated singular value decomposition.
"""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.nn.attention.dot_product import attention, check_inputs, check_mask, context_matrix


def low_rank_attention(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    rank: int,
    *,
    mask: jax.Array | None = None,
    causal: bool = False,
) -> jax.Array:
    r"""Softmax attention with the context matrix replaced by the closest one of rank r.

        A = softmax(Q K^T / sqrt(d)) = U S W^T          y = U_r (S_r (W_r^T V))

    Applying the factors takes `O((n + m) r e)`, but finding them is no cheaper than attention itself:
    `O(n m d)` for A and `O(n m min(n, m))` for its decomposition. This form is meant for measuring the rank
    that a trained model needs (see [`rank_errors`][populace.nn.rank_errors]);
    [`ProjectedAttention`][populace.nn.ProjectedAttention] takes `O(n r d)` in all.

    The derivative is that of the truncated decomposition, which exists where `s_r > s_(r+1)`; where the
    two are equal, the undefined part is omitted, so it is finite everywhere.

    Args:
        q: queries, (n, d).
        k: keys, (m, d).
        v: values, (m, e).
        rank: r, from 1 to min(n, m), which gives softmax attention itself.
        mask: (m,), true for the keys that may be attended to.
        causal: must be false: the closest low-rank matrix to a triangular one is not triangular, so a query
            would attend to later keys. Present because every attention takes it.

    Returns:
        (n, e).

    Raises:
        UsageError: mismatched shapes, a rank out of range, a causal mask.

    """
    n, m = check_inputs("low_rank_attention", q, k, v)
    check_mask("low_rank_attention", mask, (m,))
    _refuse_causal("low_rank_attention", causal)
    if not 1 <= rank <= min(n, m):
        raise UsageError(
            f"low_rank_attention: rank is {rank}, expected 1 to {min(n, m)} for {n} queries and {m} keys"
        )
    v = v if mask is None else jnp.where(mask[:, None], v, 0)  # 0 times NaN would be NaN
    return _truncated_product(context_matrix(q, k, mask=mask), v, rank)


class RankErrors(eqx.Module):
    """Relative errors in the Frobenius norm for every rank r = 0 .. min(n, m), each (min(n, m) + 1,).

    Attributes:
        context: `|A - A_r| / |A|`.
        output: `|A V - A_r V| / |A V|`.

    """

    context: jax.Array
    output: jax.Array


def rank_errors(
    q: jax.Array, k: jax.Array, v: jax.Array, *, mask: jax.Array | None = None, causal: bool = False
) -> RankErrors:
    """Return the errors of the truncated context matrix and of its output, for every rank.

    One decomposition suffices, because the omitted components are orthogonal:
    `|A - A_r|^2 = sum_(i > r) s_i^2` and `|A V - A_r V|^2 = sum_(i > r) s_i^2 |w_i^T V|^2`.
    Costs `O(n m (d + min(n, m)))`.

    Args:
        q: queries, (n, d).
        k: keys, (m, d).
        v: values, (m, e).
        mask: true where a query may attend: (m,) or (n, m).
        causal: query i attends only to keys j <= i.

    Raises:
        UsageError: mismatched shapes.

    """
    check_inputs("rank_errors", q, k, v)
    check_mask("rank_errors", mask, (len(k),), (len(q), len(k)))
    if mask is not None:  # 0 times NaN would be NaN
        v = jnp.where(jnp.atleast_2d(mask).any(0)[:, None], v, 0)
    if causal:
        v = jnp.where((jnp.arange(len(k)) < len(q))[:, None], v, 0)
    _, s, wt = _decompose(context_matrix(q, k, mask=mask, causal=causal))
    return RankErrors(_tails(s**2), _tails(s**2 * jnp.sum((wt @ v) ** 2, axis=1)))


class ProjectedAttention(eqx.Module):
    r"""Linformer: keys and values are projected from m positions to r before softmax attention.

        y = softmax(Q (E K)^T / sqrt(d)) (F V)

    The implied context matrix has rank at most r and is never computed: time `O((n + m) r (d + e))`, memory
    `O((n + m) r)`. E and F are learned, so before training the result does not approximate softmax
    attention, except with `start="mean"` where neighboring keys are similar.

    When it is the `attend` of [`MultiHeadAttention`][populace.nn.MultiHeadAttention], the heads share
    E and F.

    Args:
        length: maximum number of keys.
        rank: r, positions after the projection, 1 to `length`.
        start: initialization of E and F: `"glorot"`, Glorot uniform, or `"mean"`, the means of r segments of
            neighboring keys (the paper's mean pooling).
        key: PRNG key for E and F.

    Raises:
        UsageError: a rank out of range, an unknown start; when called, more keys than `length`, mismatched
            shapes, or a causal mask, which a projection over all keys cannot respect.

    """

    key_projection: jax.Array
    value_projection: jax.Array

    def __init__(self, length: int, rank: int, *, start: str = "glorot", key: jax.Array) -> None:
        if not 1 <= rank <= length:
            raise UsageError(f"ProjectedAttention: rank is {rank}, expected 1 to {length}, its length")
        if start not in ("glorot", "mean"):
            raise UsageError(f"ProjectedAttention: start is '{start}', expected 'glorot' or 'mean'")
        if start == "mean":
            member = jnp.arange(length) * rank // length == jnp.arange(rank)[:, None]
            pooled = member / member.sum(axis=1, keepdims=True)
            self.key_projection, self.value_projection = pooled, jnp.copy(pooled)
        else:
            draw = jax.nn.initializers.glorot_uniform()
            k_key, v_key = jax.random.split(key)
            self.key_projection = draw(k_key, (rank, length))
            self.value_projection = draw(v_key, (rank, length))

    def __call__(
        self,
        q: jax.Array,
        k: jax.Array,
        v: jax.Array,
        *,
        mask: jax.Array | None = None,
        causal: bool = False,
    ) -> jax.Array:
        """Return (n, e) for queries (n, d), keys (m, d), values (m, e); masked keys count as zeros."""
        _, m = check_inputs("ProjectedAttention", q, k, v)
        check_mask("ProjectedAttention", mask, (m,))
        _refuse_causal("ProjectedAttention", causal)
        length = self.key_projection.shape[1]
        if m > length:
            raise UsageError(f"ProjectedAttention: {m} keys, expected at most {length}, its length")
        if mask is not None:
            k, v = jnp.where(mask[:, None], k, 0), jnp.where(mask[:, None], v, 0)
        return attention(q, self.key_projection[:, :m] @ k, self.value_projection[:, :m] @ v)


def _refuse_causal(layer: str, causal: bool) -> None:
    if causal:
        raise UsageError(
            f"{layer}: cannot be causal, as low rank mixes all keys; use attention or linear_attention"
        )


def _tails(parts: jax.Array) -> jax.Array:
    """Return sqrt(sum of parts from r on / sum of all) for r = 0 .. len(parts), the smallest first."""
    sums = jnp.append(jnp.cumsum(parts[::-1])[::-1], 0)
    return jnp.sqrt(sums / jnp.where(sums[0] > 0, sums[0], 1))


def _decompose(context: jax.Array) -> Any:
    return jnp.linalg.svd(context, full_matrices=False)


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def _truncated_product(context: jax.Array, v: jax.Array, rank: int) -> jax.Array:
    """Return A_r V, (n, e)."""
    u, s, wt = _decompose(context)
    return (u[:, :rank] * s[:rank]) @ (wt[:rank] @ v)


@_truncated_product.defjvp
def _truncated_product_jvp(rank: int, primals: Any, tangents: Any) -> Any:
    # JAX's derivative of the SVD divides by the gaps of all pairs of singular values. That of A_r needs
    # only those between a kept and a dropped one: in the basis of U and W it takes D = U^T dA W to
    #   D_ij                                                        i, j kept
    #   (s_k^2 D_ij + s_i s_j D_ji) / (s_k^2 - s_l^2)               one of them kept (k), one dropped (l)
    #   0                                                           both dropped.
    (context, v), (d_context, d_v) = primals, tangents
    u, s, wt = _decompose(context)
    u_r, s_r, wt_r = u[:, :rank], s[:rank], wt[:rank]
    d = u.T @ d_context @ wt.T
    kept = jnp.arange(len(s)) < rank
    square = s**2
    larger = jnp.maximum(square[:, None], square)
    gap = jnp.abs(square[:, None] - square)
    between = (larger * d + s[:, None] * s * d.T) / jnp.where(gap > 0, gap, 1)
    between = jnp.where((kept[:, None] != kept) & (gap > 0), between, 0)
    inner = jnp.where(kept[:, None] & kept, d, between)
    # Singular vectors beyond the thin decomposition have singular values of zero.
    right = (d_context @ wt_r.T) - u @ (u.T @ (d_context @ wt_r.T))
    left = (u_r.T @ d_context) - ((u_r.T @ d_context) @ wt.T) @ wt
    change = u @ (inner @ (wt @ v)) + right @ (wt_r @ v) + u_r @ (left @ v)
    out = (u_r * s_r) @ (wt_r @ v)
    return out, change + (u_r * s_r) @ (wt_r @ d_v)
