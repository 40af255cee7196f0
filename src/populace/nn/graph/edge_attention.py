"""Fused attention over the edges into each node; the backward pass recomputes the attention weights.

    e = LeakyReLU(s[source] + t[target])    alpha = softmax of e over the edges into the target
    y[i] = sum of alpha keep / (1 - rate) x[source] over the edges into i

Between the passes only y, and the largest score and the inverse sum of each softmax are stored, O(n H)
numbers; the gradient with respect to the edge scores is O(E H). Nothing of size (E, H, F) is allocated.

Reverse mode transposes the derivative in a direction, which is a primitive of its own for that: its transpose
is the kernel of the backward pass. Derivatives of that one, and directions themselves, are computed by XLA.

Source: Velickovic et al. 2018, "Graph Attention Networks", arXiv:1710.10903. Recomputing the softmax from its
sum is due to Dao et al. 2022, "FlashAttention", arXiv:2205.14135.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.interpreters import ad

from populace.nn.graph.segment_sum import FORMS, INDICES, sparse_p
from populace.nn.primitives.hashing import kept
from populace.nn.primitives.member_axis import members_of, primitive


def _bound(form: str, wanted: str, graph: Any, *operands: jax.Array) -> jax.Array:
    assert wanted in FORMS[form]
    return sparse_p.bind(*graph, *operands, form=form, wanted=wanted, backend="xla")[0]


def _softmax(graph: Any, seeds: Any, settings: Any, s: Any, t: Any) -> tuple[jax.Array, ...]:
    """Return alpha and the dropout factor per edge, scores before LeakyReLU, and what is kept of the softmax.

    The first three are (members, E, H); the largest score and one over the sum of powers, (members, n, H).
    """
    targets, offsets = graph[1], graph[2]
    slope, rate = settings[:, :1, None], settings[:, 1:, None]
    raw = s[:, graph[0]] + t[:, targets]
    score = jnp.where(raw >= 0, raw, slope * raw)
    by_edge = score.swapaxes(0, 1)  # members beside heads
    best = jax.ops.segment_max(by_edge, targets, len(offsets) - 1, indices_are_sorted=True)
    best = jnp.where((jnp.diff(offsets) > 0)[:, None, None], best, 0)
    power = jnp.exp(by_edge - best[targets])
    total = jax.ops.segment_sum(power, targets, len(offsets) - 1, indices_are_sorted=True)
    inverse = jnp.where(total > 0, 1 / jnp.where(total > 0, total, 1), 0)
    alpha = (power * inverse[targets]).swapaxes(0, 1)
    _, edges, heads = alpha.shape
    factor = jnp.ones((), alpha.dtype)
    if seeds.size:
        mask = jax.vmap(lambda pair, r: kept(pair, edges * heads, r))
        rates = jnp.broadcast_to(settings[:, 1], len(seeds)) if len(settings) == 1 else settings[:, 1]
        pairs = jnp.broadcast_to(seeds, (len(rates), 2))
        factor = mask(pairs, rates).reshape(-1, edges, heads) / (1 - rate)
    return alpha, factor, raw, best.swapaxes(0, 1), inverse.swapaxes(0, 1)


def _by_xla(*operands: Any) -> list[jax.Array]:
    graph, (seeds, settings, s, t, x) = operands[:INDICES], operands[INDICES:]
    alpha, factor, _, *kept_for_it = _softmax(graph, seeds, settings, s, t)
    y = _bound("weighted", "target", graph, alpha * factor, x)
    return [_to(members_of(operands[INDICES:]), a) for a in (y, *kept_for_it)]


def _along_by_xla(*operands: Any) -> list[jax.Array]:
    """Return the derivative of y in the direction (ds, dt, dx)."""
    graph, (seeds, settings, s, t, _, _, _, ds, dt, x, dx) = operands[:INDICES], operands[INDICES:]
    alpha, factor, raw, *_ = _softmax(graph, seeds, settings, s, t)
    along = ds[:, graph[0]] + dt[:, graph[1]]
    along = jnp.where(raw >= 0, along, settings[:, :1, None] * along)
    mean = _bound("at targets", "target", graph, (alpha * along)[..., None])[..., 0]
    by_alpha = alpha * (along - mean[:, graph[1]])
    y = _bound("weighted", "target", graph, alpha * factor, dx)
    y = y + _bound("weighted", "target", graph, by_alpha * factor, x)
    return [_to(members_of(operands[INDICES:]), y)]


def _back_by_xla(*operands: Any) -> list[jax.Array]:
    graph, (seeds, settings, s, t, _, _, y, g, x) = operands[:INDICES], operands[INDICES:]
    inner = jnp.sum(g * y, axis=-1)
    alpha, factor, raw, *_ = _softmax(graph, seeds, settings, s, t)
    by_x = _bound("weighted", "source", graph, alpha * factor, g)
    by_alpha = factor * _bound("weighted", "weight", graph, x, g)
    by_score = alpha * (by_alpha - inner[:, graph[1]])
    by_edge = jnp.where(raw >= 0, by_score, settings[:, :1, None] * by_score)
    by_s = _bound("at sources", "source", graph, by_edge[..., None])[..., 0]
    return [_to(members_of(operands[INDICES:]), a) for a in (by_s, by_x, by_edge, inner)]


def _to(members: int, a: jax.Array) -> jax.Array:
    return jnp.broadcast_to(a, (members, *a.shape[1:]))


def _shapes(*operands: Any) -> list[Any]:
    targets, (heads, features) = operands[2].size - 1, operands[-1].shape[2:]
    return [((targets, heads, features), None), ((targets, heads), None), ((targets, heads), None)]


def _along_shapes(*operands: Any) -> list[Any]:
    return _shapes(*operands)[:1]


def _back_shapes(*operands: Any) -> list[Any]:
    nodes, heads, features = operands[-1].shape[1:]
    targets = operands[2].size - 1
    by_edge, inner = (operands[0].size, heads), (targets, heads)  # inner is <g, y>: room for the kernel
    return [((nodes, heads), None), ((nodes, heads, features), None), (by_edge, None), (inner, None)]


def _call(name: str, shapes: Any, operands: Any, *arguments: Any) -> list[jax.Array]:
    members = members_of(operands[INDICES:])
    dtype = operands[-1].dtype
    results = [jax.ShapeDtypeStruct((members, *shape), dtype) for shape, _ in shapes(*operands)]
    return list(jax.ffi.ffi_call(f"populace_{name}", results)(*arguments))


def _by_kernel(*operands: Any) -> list[jax.Array]:
    sources, _, offsets = operands[:3]
    return _call("attend", _shapes, operands, offsets, sources, *operands[INDICES:])


def _back_by_kernel(*operands: Any) -> list[jax.Array]:
    seeds, settings, s, t, largest, inverse, y, g, x = operands[INDICES:]
    rows = operands[3:INDICES]
    given = (seeds, settings, s, t, x, largest, inverse, y, g)
    return _call("attend_back", _back_shapes, operands, *rows, *given)


attend_p = primitive("attend", INDICES, _shapes, _by_xla, _by_kernel)
attend_back_p = primitive("attend_back", INDICES, _back_shapes, _back_by_xla, _back_by_kernel)


attend_along_p = primitive("attend_along", INDICES, _along_shapes, _along_by_xla, _along_by_xla)


def _jvp(primals: Any, tangents: Any, *, backend: str) -> Any:
    """Differentiate by s, t and x; slopes and rates are settings."""
    *graph_and_settings, s, t, x = primals
    y, largest, inverse = attend_p.bind(*primals, backend=backend)
    ds, dt, dx = map(ad.instantiate_zeros, tangents[-3:])
    given = *graph_and_settings, s, t, largest, inverse, y, ds, dt, x, dx
    (dy,) = attend_along_p.bind(*given, backend=backend)
    # What is kept of the softmax spares the kernels work; derivatives of their results go through s and t.
    nothing = [ad.Zero(jax.typeof(a).to_tangent_aval()) for a in (largest, inverse)]
    return [y, largest, inverse], [dy, *nothing]


def _along_transpose(cotangents: Any, *operands: Any, backend: str) -> list[Any]:
    *given, s, t, largest, inverse, y, ds, dt, x, dx = operands
    gradients: list[Any] = [None] * len(operands)
    if type(cotangents[0]) is ad.Zero:
        return gradients
    back = (*given, s, t, largest, inverse, y, cotangents[0], x)
    by_s, by_x, by_edge, _ = attend_back_p.bind(*back, backend=backend)
    form: Any = {"form": "at targets", "wanted": "target", "backend": backend}
    by_t = sparse_p.bind(*given[:INDICES], by_edge[..., None], **form)[0][..., 0]
    for place, operand, found in ((-4, ds, by_s), (-3, dt, by_t), (-1, dx, by_x)):
        if ad.is_undefined_primal(operand):
            shared = operand.aval.shape[0] < found.shape[0]
            gradients[place] = jnp.sum(found, axis=0, keepdims=True) if shared else found
    return gradients


def _jvp_by_xla(p: Any, by_xla: Callable[..., Sequence[jax.Array]]) -> Any:
    """Return the rule of a primitive that is differentiated as XLA computes it."""

    def jvp(primals: Any, tangents: Any, *, backend: str) -> Any:
        moved = [k for k, d in enumerate(tangents) if type(d) is not ad.Zero and k > INDICES + 1]

        def of(*own: Any) -> Any:
            place = dict(zip(moved, own))
            return list(by_xla(*(place.get(k, a) for k, a in enumerate(primals))))

        _, along = jax.jvp(of, [primals[k] for k in moved], [tangents[k] for k in moved])
        return p.bind(*primals, backend=backend), along

    return jvp


ad.primitive_jvps[attend_p] = _jvp
ad.primitive_jvps[attend_along_p] = _jvp_by_xla(attend_along_p, _along_by_xla)
ad.primitive_jvps[attend_back_p] = _jvp_by_xla(attend_back_p, _back_by_xla)
ad.primitive_transposes[attend_along_p] = _along_transpose


def fused(backend: str, graph: Any, seeds: Any, settings: Any, s: Any, t: Any, x: Any) -> jax.Array:
    """Return y (members, targets, H, F); derivatives of all orders and modes exist by s, t and x.

    Args:
        backend: `"auto"`, `"xla"` or `"native"`.
        graph: what `populace.nn.graph.segment_sum.indices` returns.
        seeds: (members, 2) uint32, or (1, 0) to drop nothing.
        settings: (members, 2), slope and rate.
        s: (members, sources, H).
        t: (members, targets, H).
        x: (members, sources, H, F).

    """
    return attend_p.bind(*graph, seeds, settings, s, t, x, backend=backend)[0]
