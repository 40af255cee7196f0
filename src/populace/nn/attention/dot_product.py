"""Softmax attention: each query returns a mean of the values, weighted by the similarity of their keys.

Vaswani et al. 2017, "Attention Is All You Need", arXiv:1706.03762.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.nn.primitives.precision import at_least_float32

SCORES = 2**20  # scores computed at a time: 4 MiB fit into a cache
ROWS = 128  # queries at least: with fewer, reading all keys costs more than the products
CAUSAL_PARTS = (
    4  # computes 5/8 of all scores, where 1/2 would suffice; 8 parts compute 9/16 in twice the memory
)


def attention(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    *,
    mask: jax.Array | None = None,
    causal: bool = False,
    block: int | None = None,
) -> jax.Array:
    r"""Scaled dot-product attention of one head.

        A = softmax_j(Q K^T / sqrt(d))          y_i = sum_j A_ij v_j

    Takes `O(n m (d + e))` time. Long sequences are processed `block` queries at a time, and scores are
    recomputed for the gradient, so that memory is `O((n + m) (d + e) + block m)` instead of `O(n m)`. Long
    causal sequences are processed in 4 parts, each without the keys after it, which computes 5/8 of the
    scores.

    Scores and sums are float32 at least. Masked keys and values affect neither the output of a query nor a
    gradient, even if they are NaN or infinite; under a mask, or with `causal`, a query that attends to such a
    key gets NaN.

    Args:
        q: queries, (n, d).
        k: keys, (m, d).
        v: values, (m, e).
        mask: true where a query may attend: (m,) for all queries, or (n, m). A query with no unmasked key
            gets zeros, and its gradient is zero.
        causal: query i attends only to keys j <= i, whatever n and m are.
        block: queries per block; by default all, or as many as make 2^20 scores but at least 128.

    Returns:
        (n, e).

    Raises:
        UsageError: mismatched shapes, a mask of another shape or dtype, a block below 1.

    """
    n, m = check_inputs("attention", q, k, v)
    check_mask("attention", mask, (m,), (n, m))
    dtype = jnp.result_type(q, k, v)
    q, k, v, spoiled = without_unseen(q, k, v, mask, causal)
    if block is None:
        block = max(n, 1) if n * m <= SCORES else max(ROWS, SCORES // m)
    if block < 1:
        raise UsageError(f"attention: block is {block}, expected at least 1")
    if block >= n:
        out = attend_rows(k, v, (q, jnp.arange(n) if causal else None, mask))
    else:
        out = _in_blocks(q, k, v, mask, causal, block)
    return spoil(out, spoiled).astype(dtype)


def context_matrix(
    q: jax.Array, k: jax.Array, *, mask: jax.Array | None = None, causal: bool = False
) -> jax.Array:
    """Return the matrix A of attention, (n, m); rows sum to 1, or 0 if masked.

    For the formula see [`attention`][populace.nn.attention.dot_product.attention].
    """
    n, m = check_inputs("context_matrix", q, k, k)
    check_mask("context_matrix", mask, (m,), (n, m))
    dtype = jnp.result_type(q, k)
    q, k, _, spoiled = without_unseen(q, k, k, mask, causal)
    weights, total = _weights(q, k, jnp.arange(n) if causal else None, mask)
    return spoil(weights / total, spoiled).astype(dtype)


def check_inputs(layer: str, q: jax.Array, k: jax.Array, v: jax.Array) -> tuple[int, int]:
    """Return the numbers of queries and keys; raise `UsageError` for mismatched shapes."""
    for name, x in (("queries", q), ("keys", k), ("values", v)):
        if x.ndim != 2:
            raise UsageError(f"{layer}: {name} have shape {x.shape}, expected (length, width)")
    if k.shape[1] != q.shape[1]:
        raise UsageError(
            f"{layer}: keys have shape {k.shape}, expected (length, {q.shape[1]}) like the queries"
        )
    if len(v) != len(k):
        raise UsageError(
            f"{layer}: values have shape {v.shape}, expected ({len(k)}, width), one for each key"
        )
    return len(q), len(k)


def check_mask(layer: str, mask: jax.Array | None, *shapes: tuple[int, ...]) -> None:
    """Raise `UsageError` unless the mask is None, or boolean and of one of the shapes."""
    if mask is None:
        return
    if mask.dtype != jnp.bool_:
        raise UsageError(f"{layer}: mask is of {mask.dtype}, expected bool (true where a query may attend)")
    if mask.shape not in shapes:
        expected = " or ".join(map(str, shapes))
        raise UsageError(f"{layer}: mask has shape {mask.shape}, expected {expected}")


def without_unseen(
    q: jax.Array, k: jax.Array, v: jax.Array, mask: jax.Array | None, causal: bool
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array | None]:
    """Return queries, keys and values in float32 at least, and which outputs must be NaN, (n,) or None.

    0 times NaN is NaN, forward and backward, so a weight of 0 does not exclude a key. Keys and values that no
    query may attend to are therefore zeroed, and so are non-finite ones that only some queries may attend
    to; `spoil` then sets the outputs of those queries to NaN.
    """
    q, k, v = (at_least_float32(x) for x in (q, k, v))
    if mask is not None and mask.ndim == 1:
        k, v = jnp.where(mask[:, None], k, 0), jnp.where(mask[:, None], v, 0)
    n, m = len(q), len(k)
    if m == 0 or (not causal and (mask is None or mask.ndim == 1)):
        return q, k, v, None
    good, lost = (jnp.isfinite(k).all(1) & jnp.isfinite(v).all(1)), ~jnp.isfinite(q).all(1)
    if mask is not None and mask.ndim == 2:
        seen = mask & (jnp.arange(m) <= jnp.arange(n)[:, None]) if causal else mask
        some, bad = seen.any(1), (seen & ~good).any(1)
    else:
        last = jnp.minimum(jnp.arange(n), m - 1)
        some = jnp.cumsum(jnp.ones(m, bool) if mask is None else mask)[last] > 0
        bad = jnp.cumsum(~good)[last] > 0
    k, v = jnp.where(good[:, None], k, 0), jnp.where(good[:, None], v, 0)
    return jnp.where(lost[:, None], 0, q), k, v, bad | (lost & some)


def spoil(out: jax.Array, spoiled: jax.Array | None) -> jax.Array:
    """Return outputs (n, e) with NaN for queries that attend to non-finite keys or values."""
    return out if spoiled is None else jnp.where(spoiled[:, None], jnp.nan, out)


def _weights(
    q: jax.Array, k: jax.Array, position: jax.Array | None, mask: jax.Array | None
) -> tuple[jax.Array, jax.Array]:
    """Return the numerators (n, m) and denominators (n, 1) of the softmax; 1 where all is masked."""
    scores = (q / math.sqrt(q.shape[1])) @ k.T
    if position is not None:
        earlier = jnp.arange(len(k)) <= position[:, None]
        mask = earlier if mask is None else mask & earlier
    if mask is not None:
        scores = jnp.where(mask, scores, -jnp.inf)
    # With a finite initial value, a row without keys has exponents of -inf rather than inf - inf.
    highest = jnp.max(scores, axis=1, keepdims=True, initial=jnp.finfo(scores.dtype).min)
    weights = jnp.exp(scores - jax.lax.stop_gradient(highest))
    total = weights.sum(axis=1, keepdims=True)
    return weights, jnp.where(total > 0, total, 1)


def attend_rows(k: jax.Array, v: jax.Array, rows: tuple[jax.Array, Any, Any]) -> jax.Array:
    """Return (n, e) for queries, positions (n,) where causal, and a mask (m,) or (n, m); None for none."""
    weights, total = _weights(rows[0], k, rows[1], rows[2])
    return (weights @ v) / total  # n e divisions here; before the product it would be n m


def _in_blocks(
    q: jax.Array, k: jax.Array, v: jax.Array, mask: jax.Array | None, causal: bool, block: int
) -> jax.Array:
    n, m = len(q), len(k)
    count = -(-n // block)

    def cut(rows: jax.Array) -> jax.Array:
        padded = jnp.pad(rows, ((0, count * block - n), (0, 0)))
        return padded.reshape(count, block, -1)

    queries = cut(q)
    position = jnp.arange(count * block).reshape(count, block) if causal else None
    pairs = cut(mask) if mask is not None and mask.ndim == 2 else None
    parts = min(CAUSAL_PARTS, count) if causal else 1  # each part skips the keys after it
    out = []
    for part in range(parts):
        here = slice(count * part // parts, count * (part + 1) // parts)
        seen = min(m, here.stop * block) if causal else m
        own = None if pairs is None else pairs[here, :, :seen]
        shared = mask[:seen] if mask is not None and own is None else None

        def attend(
            rows: tuple[jax.Array, Any, Any], seen: int = seen, shared: jax.Array | None = shared
        ) -> jax.Array:
            queries, position, own = rows
            return attend_rows(k[:seen], v[:seen], (queries, position, shared if own is None else own))

        rows = (queries[here], None if position is None else position[here], own)
        out.append(jax.lax.map(jax.checkpoint(attend), rows))
    return jnp.concatenate(out).reshape(count * block, -1)[:n]
