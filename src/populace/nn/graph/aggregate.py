"""Aggregation of messages over the edges of a graph: sums, means, maxima, attention.

Sums are taken in a fixed order, forward and backward, so that results are reproducible. On CPU populace's
compiled kernels are used where they are installed (`backend="auto"`); otherwise, and on accelerators, XLA's
own operations are.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp

from populace.core.errors import UsageError, unknown
from populace.core.native import check_backend, missing
from populace.nn.graph.edge_attention import fused
from populace.nn.graph.edges import EdgeIndex
from populace.nn.graph.segment_max import maximum, maximum_p
from populace.nn.graph.segment_sum import indices, sparse
from populace.nn.primitives.hashing import kept, seed_pair
from populace.nn.primitives.member_axis import tie
from populace.nn.primitives.precision import at_least_float32

HOWS = ("sum", "mean", "max")


def aggregate(
    edges: EdgeIndex,
    x: jax.Array,
    how: str = "sum",
    weight: jax.Array | None = None,
    backend: str = "auto",
) -> jax.Array:
    r"""Aggregate the features of each target's sources.

        sum    y_i = sum_e w_e x_source(e)     over the edges e into i
        mean   the same, divided by the number of edges into i
        max    y_if = max_e x_source(e)f; ties give the gradient to the source of the first edge

    A target without incoming edges gets zeros. Time is O(E F); the kernels allocate nothing of size (E, F).
    Sums are made in float32 at least, also those of gradients; the result has the type of the operands.
    Differentiable in forward and reverse mode, to any order.

    Args:
        edges: edges of the graph.
        x: (sources, F), or (sources, H, F) for H heads.
        how: `"sum"`, `"mean"` or `"max"`.
        weight: edge weights w, (E,), or (E, H) with heads; not with `"max"`.
        backend: `"auto"`, `"xla"` or `"native"`.

    Returns:
        (targets, F) or (targets, H, F).

    Raises:
        UsageError: shapes that do not match, an unknown name, a weight with `"max"`, or `"native"` where the
            kernels are not installed.

    """
    if how not in HOWS:
        raise unknown("aggregation", how, HOWS)
    check_backend(backend)
    check_nodes("aggregate", "x", x, edges.size[1])
    if how == "max":
        if weight is not None:
            raise UsageError("aggregate: 'max' takes no weight; scale x, or use 'sum' or 'mean'")
        dtype, x = _floats(x)
        y = maximum(edges, x.reshape(1, len(x), 1, _size(x)), backend)
        return y.reshape(edges.size[0], *x.shape[1:]).astype(dtype)
    if weight is not None:
        check_edges("aggregate", "weight", weight, edges, x)
    dtype, x, *weights = _floats(x, *[] if weight is None else [weight])
    weight = weights[0] if weights else None
    if how == "mean":  # a factor per edge is cheaper than dividing every result
        arrive = jnp.diff(jnp.asarray(edges.rows.offsets))[jnp.asarray(edges.targets)]
        share = 1 / arrive.astype(x.dtype)
        weight = share if weight is None else weight * share.reshape(-1, *[1] * (weight.ndim - 1))
    if weight is None:
        y = sparse(edges, "plain", "target", x.reshape(1, len(x), 1, _size(x)), backend=backend)
    else:
        heads = x.shape[1] if weight.ndim == 2 else 1
        shape = (1, len(x), heads, math.prod(x.shape[1:]) // max(heads, 1))
        w = weight.reshape(1, edges.count, heads)
        y = sparse(edges, "weighted", "target", w, x.reshape(shape), backend=backend)
    return y.reshape(edges.size[0], *x.shape[1:]).astype(dtype)


def at_sources(edges: EdgeIndex, x: jax.Array, backend: str = "auto") -> jax.Array:
    """Gather x (sources, ...) at each edge's source, (E, ...); the gradient is a sum in a fixed order."""
    return _at_ends("at sources", "at_sources", edges, x, edges.size[1], backend)


def at_targets(edges: EdgeIndex, x: jax.Array, backend: str = "auto") -> jax.Array:
    """Gather x (targets, ...) at each edge's target, (E, ...); the gradient is a sum in a fixed order."""
    return _at_ends("at targets", "at_targets", edges, x, edges.size[0], backend)


def sum_at_targets(edges: EdgeIndex, z: jax.Array, backend: str = "auto") -> jax.Array:
    """Return the sum of z (E, ...) over the edges into each target, (targets, ...)."""
    check_backend(backend)
    if z.ndim < 1 or len(z) != edges.count:
        raise UsageError(f"sum_at_targets: z has shape {z.shape}, expected ({edges.count}, ...)")
    dtype, z = _floats(z)
    y = sparse(edges, "at targets", "target", z.reshape(1, len(z), 1, _size(z)), backend=backend)
    return y.reshape(edges.size[0], *z.shape[1:]).astype(dtype)


def edge_softmax(edges: EdgeIndex, scores: jax.Array, backend: str = "auto") -> jax.Array:
    r"""Softmax over the edges into the same target, head by head.

        alpha_e = exp(s_e - m) / sum_e' exp(s_e' - m)     e' into the target of e, m the largest s_e'

    Args:
        edges: edges of the graph.
        scores: s, (E,) or (E, H).
        backend: `"auto"`, `"xla"` or `"native"`.

    Returns:
        alpha, shaped like the scores; it sums to 1 over the edges into each target.

    Raises:
        UsageError: scores of another shape, an unknown backend.

    """
    check_backend(backend)
    if scores.ndim not in (1, 2) or len(scores) != edges.count:
        raise UsageError(
            f"edge_softmax: scores have shape {scores.shape}, expected ({edges.count},) or ({edges.count}, H)"
        )
    dtype, scores = _floats(scores)
    still = jax.lax.stop_gradient(scores).reshape(1, edges.count, 1, _size(scores))
    _, targets, offsets, *rest = indices(edges)
    # The sources of this graph are the edges themselves: edge e carries its own score.
    edge = jnp.arange(edges.count, dtype=jnp.int32)
    best = maximum_p.bind(edge, targets, offsets, *rest, still, backend=backend)[0]
    best = best.reshape(edges.size[0], *scores.shape[1:])
    power = jnp.exp(scores - at_targets(edges, best, backend))
    return (power / at_targets(edges, sum_at_targets(edges, power, backend), backend)).astype(dtype)


def softmax_sum(edges: EdgeIndex, scores: jax.Array, x: jax.Array, backend: str = "auto") -> jax.Array:
    """Return the mean of x over each target's sources, weighted by the softmax of the edge scores.

    Args:
        edges: edges of the graph.
        scores: (E,), or (E, H) with heads.
        x: (sources, F) or (sources, H, F).
        backend: `"auto"`, `"xla"` or `"native"`.

    """
    check_nodes("softmax_sum", "x", x, edges.size[1])
    check_edges("softmax_sum", "scores", scores, edges, x)
    return aggregate(edges, x, "sum", edge_softmax(edges, scores, backend), backend)


def attend(
    edges: EdgeIndex,
    s: jax.Array,
    t: jax.Array,
    x: jax.Array,
    *,
    slope: float | jax.Array = 0.2,
    rate: float | jax.Array = 0.0,
    key: jax.Array | None = None,
    backend: str = "auto",
) -> jax.Array:
    r"""Attention of a graph attention network, with dropout on the attention weights.

        e = LeakyReLU(s[source] + t[target])    alpha = softmax of e over the edges into the target
        y[i] = sum of alpha keep / (1 - rate) x[source] over the edges into i

    The backward pass recomputes alpha: memory is O(n H F + E H). Differentiable by s, t and x, in
    forward and reverse mode, to any order. The same key drops the same edges with every backend.

    Args:
        edges: edges of the graph.
        s: score term of each source, (sources, H).
        t: score term of each target, (targets, H).
        x: features, (sources, H, F).
        slope: negative slope of the LeakyReLU; may be traced.
        rate: probability of dropping an edge's alpha, in [0, 1); may be traced.
        key: random key for dropout; None disables it.
        backend: `"auto"`, `"xla"` or `"native"`.

    Returns:
        (targets, H, F); zeros for a target without edges.

    Raises:
        UsageError: shapes that do not match, a rate outside [0, 1), an unknown backend.

    Source: Velickovic et al. 2018, "Graph Attention Networks", arXiv:1710.10903.

    """
    check_backend(backend)
    if isinstance(rate, int | float) and not 0 <= rate < 1:
        raise UsageError(f"attend: rate must be in [0, 1), got {rate}")
    targets, sources = edges.size
    if x.ndim != 3 or len(x) != sources:
        raise UsageError(f"attend: x has shape {x.shape}, expected ({sources}, H, F)")
    for name, a, count in (("s", s, sources), ("t", t, targets)):
        if a.shape != (count, x.shape[1]):
            raise UsageError(f"attend: {name} has shape {a.shape}, expected ({count}, {x.shape[1]})")
    dtype, s, t, x = _floats(s, t, x)
    drops = key is not None and not (isinstance(rate, int | float) and rate == 0)
    seeds = seed_pair(key) if drops else None  # type: ignore[arg-type]
    if backend == "xla" or missing():
        scores = jax.nn.leaky_relu(at_sources(edges, s, "xla") + at_targets(edges, t, "xla"), slope)
        alpha = edge_softmax(edges, scores, "xla")
        if seeds is not None:
            mask = kept(seeds, alpha.size, rate).reshape(alpha.shape)
            alpha = jnp.where(mask, alpha / (1 - jnp.asarray(rate, alpha.dtype)), 0)
        return aggregate(edges, x, "sum", alpha, "xla").astype(dtype)
    settings = jnp.stack([jnp.asarray(slope, x.dtype), jnp.asarray(rate, x.dtype)])
    drawn = jnp.zeros((1, 0), jnp.uint32) if seeds is None else seeds[None]
    s, t, x, settings, drawn = tie(s[None], t[None], x[None], settings[None], drawn)
    return fused(backend, indices(edges), drawn, jax.lax.stop_gradient(settings), s, t, x)[0].astype(dtype)


def check_nodes(where: str, name: str, x: jax.Array, count: int) -> None:
    """Raise a `UsageError` for an array that is not (count, F) or (count, H, F)."""
    if x.ndim not in (2, 3) or len(x) != count:
        raise UsageError(f"{where}: {name} has shape {x.shape}, expected ({count}, F) or ({count}, H, F)")


def check_edges(where: str, name: str, weight: jax.Array, edges: EdgeIndex, x: jax.Array) -> None:
    """Raise a `UsageError` for an array that is not (E,), or (E, H) where x has H heads."""
    heads = [(edges.count,)] + ([(edges.count, x.shape[1])] if x.ndim == 3 else [])
    if weight.shape not in heads:
        raise UsageError(f"{where}: {name} has shape {weight.shape}, expected {' or '.join(map(str, heads))}")


def _at_ends(form: str, name: str, edges: EdgeIndex, x: jax.Array, count: int, backend: str) -> jax.Array:
    check_backend(backend)
    if x.ndim < 1 or len(x) != count:
        raise UsageError(f"{name}: x has shape {x.shape}, expected ({count}, ...)")
    dtype, x = _floats(x)  # of a gather the gradient is a sum
    z = sparse(edges, form, "edge", x.reshape(1, len(x), 1, _size(x)), backend=backend)
    return z.reshape(edges.count, *x.shape[1:]).astype(dtype)


def _size(x: jax.Array) -> int:
    return math.prod(x.shape[1:])


def _floats(*arrays: Any) -> list[Any]:
    """Return the common floating type of the arrays, and the arrays as they are added up."""
    dtype = jnp.result_type(*arrays)
    dtype = dtype if jnp.issubdtype(dtype, jnp.floating) else jnp.result_type(float)
    return [dtype, *(at_least_float32(jnp.asarray(a, dtype)) for a in arrays)]
