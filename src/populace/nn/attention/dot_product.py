"""Softmax attention: every query takes a mean of the values, weighted by how well their keys fit it.

Vaswani et al. 2017, "Attention Is All You Need", arXiv:1706.03762.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.nn.primitives.precision import at_least_float32

SCORES = 2**20  # scores held at a time: 4 MiB stay in a cache
ROWS = 128  # but at least so many queries: with fewer, reading all keys costs more than the products
CAUSAL_PARTS = 4  # 5/8 of all scores are computed, where 1/2 would do; with 8, 9/16 in twice the memory


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

    Costs `O(n m (d + e))` time. Long sequences are taken `block` queries at a time, and the scores are
    computed again for the gradient, so that memory is `O((n + m) (d + e) + block m)`, not `O(n m)`. Long
    causal ones go in 4 parts, each without the keys behind it, so that 5/8 of the scores are computed.

    Scores and sums are float32 at least. Keys and values that a query may not look at reach neither its
    output nor a gradient, even if they are NaN or infinite; with a mask, or causal, a query that may look at
    such a one gets NaN.

    Args:
        q: queries, (n, d).
        k: keys, (m, d).
        v: values, (m, e).
        mask: true where a query may look: (m,) for all queries alike, or (n, m). A query that may look
            nowhere gets zeros, and its gradient is zero.
        causal: query i looks at keys j <= i only, whatever n and m are.
        block: queries at a time; by default all at once for up to 2^20 scores, else as many as make that,
            and at least 128.

    Returns:
        (n, e).

    Raises:
        UsageError: shapes that do not fit, a mask of another shape or type, a block below 1.

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
        out = _attend(k, v, (q, jnp.arange(n) if causal else None, mask))
    else:
        out = _in_blocks(q, k, v, mask, causal, block)
    return spoil(out, spoiled).astype(dtype)


def context_matrix(
    q: jax.Array, k: jax.Array, *, mask: jax.Array | None = None, causal: bool = False
) -> jax.Array:
    """Return the matrix A of [`attention`][populace.nn.attention], (n, m); rows sum to 1, or 0."""
    n, m = check_inputs("context_matrix", q, k, k)
    check_mask("context_matrix", mask, (m,), (n, m))
    dtype = jnp.result_type(q, k)
    q, k, _, spoiled = without_unseen(q, k, k, mask, causal)
    weights, total = _weights(q, k, jnp.arange(n) if causal else None, mask)
    return spoil(weights / total, spoiled).astype(dtype)


def check_inputs(layer: str, q: jax.Array, k: jax.Array, v: jax.Array) -> tuple[int, int]:
    """Return the numbers of queries and of keys, or raise the `UsageError` for shapes that do not fit."""
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
    """Raise the `UsageError` for a mask that is neither absent nor boolean and of one of the shapes."""
    if mask is None:
        return
    if mask.dtype != jnp.bool_:
        raise UsageError(f"{layer}: mask is of {mask.dtype}, expected bool (true where a query may look)")
    if mask.shape not in shapes:
        expected = " or ".join(map(str, shapes))
        raise UsageError(f"{layer}: mask has shape {mask.shape}, expected {expected}")


def without_unseen(
    q: jax.Array, k: jax.Array, v: jax.Array, mask: jax.Array | None, causal: bool
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array | None]:
    """Return queries, keys and values in float32 at least, and which outputs are to be NaN, (n,) or None.

    0 times NaN is NaN, forward and backward: a weight of 0 keeps nothing out. So keys and values that nobody
    may look at become zeros, and so does, where some queries may look at it and others may not, what is not
    finite; `spoil` gives those that may their NaN.
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
    """Return outputs (n, e) with NaN in those of queries that looked at what is not finite."""
    return out if spoiled is None else jnp.where(spoiled[:, None], jnp.nan, out)


def _weights(
    q: jax.Array, k: jax.Array, position: jax.Array | None, mask: jax.Array | None
) -> tuple[jax.Array, jax.Array]:
    """Return softmax's numerators (n, m) and denominators (n, 1), the latter 1 where all is masked."""
    scores = (q / math.sqrt(q.shape[1])) @ k.T
    if position is not None:
        earlier = jnp.arange(len(k)) <= position[:, None]
        mask = earlier if mask is None else mask & earlier
    if mask is not None:
        scores = jnp.where(mask, scores, -jnp.inf)
    # starting from a finite value, a row without keys has exponents of -inf and not of inf - inf
    highest = jnp.max(scores, axis=1, keepdims=True, initial=jnp.finfo(scores.dtype).min)
    weights = jnp.exp(scores - jax.lax.stop_gradient(highest))
    total = weights.sum(axis=1, keepdims=True)
    return weights, jnp.where(total > 0, total, 1)


def _attend(k: jax.Array, v: jax.Array, rows: tuple[jax.Array, Any, Any]) -> jax.Array:
    weights, total = _weights(rows[0], k, rows[1], rows[2])
    return (weights @ v) / total  # n e divisions here, n m before the product


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
    parts = min(CAUSAL_PARTS, count) if causal else 1  # each part leaves out the keys that none of it sees
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
            return _attend(k[:seen], v[:seen], (queries, position, shared if own is None else own))

        rows = (queries[here], None if position is None else position[here], own)
        out.append(jax.lax.map(jax.checkpoint(attend), rows))
    return jnp.concatenate(out).reshape(count * block, -1)[:n]
