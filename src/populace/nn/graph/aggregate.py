"""What the nodes of a graph receive over its arcs: sums, means, maxima, attention.

Everything is added up in a fixed order, forward and backward, so that results are the same every time. On CPU
the compiled kernels of populace do it where they are installed (`backend="auto"`); XLA's own operations do it
otherwise, and on accelerators.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp

from populace.core.errors import UsageError, unknown
from populace.nn.graph.edge_attention import fused
from populace.nn.graph.edges import Arcs
from populace.nn.graph.member_axis import tie
from populace.nn.graph.segment_max import maximum, maximum_p
from populace.nn.graph.segment_sum import indices, sparse
from populace.nn.primitives.hashing import kept, seed_pair
from populace.nn.primitives.native import check_backend, missing

HOWS = ("sum", "mean", "max")


def aggregate(
    arcs: Arcs,
    x: jax.Array,
    how: str = "sum",
    weight: jax.Array | None = None,
    backend: str = "auto",
) -> jax.Array:
    r"""Return what every target receives from its sources.

        sum    y_i = sum_e w_e x_source(e)     over the arcs e into i
        mean   the same, divided by the number of arcs into i
        max    y_if = max_e x_source(e)f; of equal ones, the first arc's source has the gradient

    A target without arcs gets zeros. Costs O(E F) time; the kernels hold nothing as large as (E, F). All
    derivatives exist, forward and reverse, of any order.

    Args:
        arcs: the graph.
        x: (sources, F) or (sources, H, F).
        how: `"sum"`, `"mean"` or `"max"`.
        weight: w, (E,), or (E, H) with heads; not with `"max"`.
        backend: `"auto"`, `"xla"` or `"native"`.

    Returns:
        (targets, F) or (targets, H, F).

    Raises:
        UsageError: a shape, a name or a combination that cannot be, or kernels that are not here.

    """
    if how not in HOWS:
        raise unknown("aggregation", how, HOWS)
    check_backend(backend)
    check_nodes("aggregate", "x", x, arcs.size[1])
    if how == "max":
        if weight is not None:
            raise UsageError("aggregate: 'max' takes no weight; weigh x, or use 'sum' or 'mean'")
        (x,) = _floats(x)
        y = maximum(arcs, x.reshape(1, len(x), 1, _size(x)), backend)
        return y.reshape(arcs.size[0], *x.shape[1:])
    if weight is not None:
        check_arcs("aggregate", "weight", weight, arcs, x)
    if how == "mean":  # a share per arc costs less than a division of every result
        arrive = jnp.diff(jnp.asarray(arcs.rows.offsets))[jnp.asarray(arcs.targets)]
        share = 1 / arrive.astype(jnp.result_type(*_floats(x)))
        weight = share if weight is None else weight * share.reshape(-1, *[1] * (weight.ndim - 1))
    if weight is None:
        (x,) = _floats(x)
        y = sparse(arcs, "plain", "target", x.reshape(1, len(x), 1, _size(x)), backend=backend)
    else:
        x, weight = _floats(x, weight)
        heads = x.shape[1] if weight.ndim == 2 else 1
        shape = (1, len(x), heads, math.prod(x.shape[1:]) // max(heads, 1))
        w = weight.reshape(1, arcs.count, heads)
        y = sparse(arcs, "weighted", "target", w, x.reshape(shape), backend=backend)
    return y.reshape(arcs.size[0], *x.shape[1:])


def at_sources(arcs: Arcs, x: jax.Array, backend: str = "auto") -> jax.Array:
    """Return x[source(e)] of every arc, (E, ...) of (sources, ...); its gradient is a sum in fixed order."""
    return _at_ends("at sources", "at_sources", arcs, x, arcs.size[1], backend)


def at_targets(arcs: Arcs, x: jax.Array, backend: str = "auto") -> jax.Array:
    """Return x[target(e)] of every arc, (E, ...) of (targets, ...); its gradient is a sum in fixed order."""
    return _at_ends("at targets", "at_targets", arcs, x, arcs.size[0], backend)


def sum_at_targets(arcs: Arcs, z: jax.Array, backend: str = "auto") -> jax.Array:
    """Return the sum of z (E, ...) over the arcs into each target, (targets, ...)."""
    check_backend(backend)
    if z.ndim < 1 or len(z) != arcs.count:
        raise UsageError(f"sum_at_targets: z has shape {z.shape}, expected ({arcs.count}, ...)")
    (z,) = _floats(z)
    y = sparse(arcs, "at targets", "target", z.reshape(1, len(z), 1, _size(z)), backend=backend)
    return y.reshape(arcs.size[0], *z.shape[1:])


def softmax_over_arcs(arcs: Arcs, scores: jax.Array, backend: str = "auto") -> jax.Array:
    r"""Softmax over the arcs into the same target, head by head.

        alpha_e = exp(s_e - m) / sum_e' exp(s_e' - m)     e' into the target of e, m the largest s_e'

    Args:
        arcs: the graph.
        scores: s, (E,) or (E, H).
        backend: `"auto"`, `"xla"` or `"native"`.

    Returns:
        alpha, as scores; the alphas of the arcs into a target add up to 1.

    Raises:
        UsageError: scores of another shape, an unknown backend.

    """
    check_backend(backend)
    if scores.ndim not in (1, 2) or len(scores) != arcs.count:
        raise UsageError(
            f"softmax_over_arcs: scores have shape {scores.shape}, "
            f"expected ({arcs.count},) or ({arcs.count}, H)"
        )
    (scores,) = _floats(scores)
    still = jax.lax.stop_gradient(scores).reshape(1, arcs.count, 1, _size(scores))
    _, targets, offsets, *rest = indices(arcs)
    arc = jnp.arange(arcs.count, dtype=jnp.int32)  # the nodes of this graph are arcs: each is its own source
    best = maximum_p.bind(arc, targets, offsets, *rest, still, backend=backend)[0]
    best = best.reshape(arcs.size[0], *scores.shape[1:])
    power = jnp.exp(scores - at_targets(arcs, best, backend))
    return power / at_targets(arcs, sum_at_targets(arcs, power, backend), backend)


def softmax_sum(arcs: Arcs, scores: jax.Array, x: jax.Array, backend: str = "auto") -> jax.Array:
    """Return the mean of what each target's sources hold, weighted by the softmax of the arcs' scores.

    Args:
        arcs: the graph.
        scores: (E,), or (E, H) with heads.
        x: (sources, F) or (sources, H, F).
        backend: `"auto"`, `"xla"` or `"native"`.

    """
    check_nodes("softmax_sum", "x", x, arcs.size[1])
    check_arcs("softmax_sum", "scores", scores, arcs, x)
    return aggregate(arcs, x, "sum", softmax_over_arcs(arcs, scores, backend), backend)


def attend(
    arcs: Arcs,
    s: jax.Array,
    t: jax.Array,
    x: jax.Array,
    *,
    slope: float | jax.Array = 0.2,
    rate: float | jax.Array = 0.0,
    key: jax.Array | None = None,
    backend: str = "auto",
) -> jax.Array:
    r"""Return attention as graph attention networks have it, with dropout on its weights.

        e = LeakyReLU(s[source] + t[target])    alpha = softmax of e over the arcs into the target
        y[i] = sum of alpha keep / (1 - rate) x[source] over the arcs into i

    The gradient recomputes alpha: memory is O(n H F + E H). It exists in reverse mode, once, and by s, t
    and x. The same key drops the same arcs with every backend.

    Args:
        arcs: the graph.
        s: what sources say, (sources, H).
        t: what targets say, (targets, H).
        x: (sources, H, F).
        slope: of LeakyReLU below 0; may be traced.
        rate: probability of dropping an arc's alpha, in [0, 1); may be traced.
        key: random key for dropping; without it nothing is dropped.
        backend: `"auto"`, `"xla"` or `"native"`.

    Returns:
        (targets, H, F); zeros for a target without arcs.

    Raises:
        UsageError: shapes that do not fit, a rate outside [0, 1), an unknown backend.

    Source: Velickovic et al. 2018, "Graph Attention Networks", arXiv:1710.10903.

    """
    check_backend(backend)
    if isinstance(rate, int | float) and not 0 <= rate < 1:
        raise UsageError(f"attend: rate must be in [0, 1), got {rate}")
    targets, sources = arcs.size
    if x.ndim != 3 or len(x) != sources:
        raise UsageError(f"attend: x has shape {x.shape}, expected ({sources}, H, F)")
    for name, a, count in (("s", s, sources), ("t", t, targets)):
        if a.shape != (count, x.shape[1]):
            raise UsageError(f"attend: {name} has shape {a.shape}, expected ({count}, {x.shape[1]})")
    s, t, x = _floats(s, t, x)
    drops = key is not None and not (isinstance(rate, int | float) and rate == 0)
    seeds = seed_pair(key) if drops else None  # type: ignore[arg-type]
    if backend == "xla" or missing():
        scores = jax.nn.leaky_relu(at_sources(arcs, s, "xla") + at_targets(arcs, t, "xla"), slope)
        alpha = softmax_over_arcs(arcs, scores, "xla")
        if seeds is not None:
            mask = kept(seeds, alpha.size, rate).reshape(alpha.shape)
            alpha = jnp.where(mask, alpha / (1 - jnp.asarray(rate, alpha.dtype)), 0)
        return aggregate(arcs, x, "sum", alpha, "xla")
    settings = jnp.stack([jnp.asarray(slope, x.dtype), jnp.asarray(rate, x.dtype)])
    drawn = jnp.zeros((1, 0), jnp.uint32) if seeds is None else seeds[None]
    s, t, x, settings, drawn = tie(s[None], t[None], x[None], settings[None], drawn)
    return fused(backend, indices(arcs), drawn, jax.lax.stop_gradient(settings), s, t, x)[0]


def check_nodes(where: str, name: str, x: jax.Array, count: int) -> None:
    """Refuse an array that is not (count, F) or (count, H, F)."""
    if x.ndim not in (2, 3) or len(x) != count:
        raise UsageError(f"{where}: {name} has shape {x.shape}, expected ({count}, F) or ({count}, H, F)")


def check_arcs(where: str, name: str, weight: jax.Array, arcs: Arcs, x: jax.Array) -> None:
    """Refuse an array that is not (E,), or (E, H) where x has H heads."""
    heads = [(arcs.count,)] + ([(arcs.count, x.shape[1])] if x.ndim == 3 else [])
    if weight.shape not in heads:
        raise UsageError(f"{where}: {name} has shape {weight.shape}, expected {' or '.join(map(str, heads))}")


def _at_ends(form: str, name: str, arcs: Arcs, x: jax.Array, count: int, backend: str) -> jax.Array:
    check_backend(backend)
    if x.ndim < 1 or len(x) != count:
        raise UsageError(f"{name}: x has shape {x.shape}, expected ({count}, ...)")
    (x,) = _floats(x)
    z = sparse(arcs, form, "arc", x.reshape(1, len(x), 1, _size(x)), backend=backend)
    return z.reshape(arcs.count, *x.shape[1:])


def _size(x: jax.Array) -> int:
    return math.prod(x.shape[1:])


def _floats(*arrays: Any) -> list[jax.Array]:
    """Return arrays in the one floating type that holds them all."""
    dtype = jnp.result_type(*arrays)
    dtype = dtype if jnp.issubdtype(dtype, jnp.floating) else jnp.result_type(float)
    return [jnp.asarray(a, dtype) for a in arrays]
