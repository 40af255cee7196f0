"""Fused attention over the edges into each node; the backward pass recomputes the attention weights.

    e = LeakyReLU(s[source] + t[target])    alpha = softmax of e over the edges into the target
    y[i] = sum of alpha keep / (1 - rate) x[source] over the edges into i

Between the passes only y and the log-sum-exp of each softmax are stored, O(n H) numbers; the gradient with
respect to the edge scores is O(E H). The kernels allocate nothing of size (E, H, F).

Source: Velickovic et al. 2018, "Graph Attention Networks", arXiv:1710.10903. Recomputing the softmax from its
log-sum-exp is due to Dao et al. 2022, "FlashAttention", arXiv:2205.14135.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from populace.nn.graph.member_axis import primitive
from populace.nn.graph.segment_sum import FORMS, INDICES, sparse_p
from populace.nn.primitives.hashing import kept


def _bound(form: str, wanted: str, graph: Any, *operands: jax.Array) -> jax.Array:
    assert wanted in FORMS[form]
    return sparse_p.bind(*graph, *operands, form=form, wanted=wanted, backend="xla")[0]


def _softmax(graph: Any, seeds: Any, settings: Any, s: Any, t: Any) -> tuple[jax.Array, ...]:
    """Return alpha and the dropout factor per edge (members, E, H), scores before LeakyReLU, log-sum-exp."""
    targets, offsets = graph[1], graph[2]
    slope, rate = settings[:, :1, None], settings[:, 1:, None]
    raw = s[:, graph[0]] + t[:, targets]
    score = jnp.where(raw >= 0, raw, slope * raw)
    by_edge = score.swapaxes(0, 1)  # members beside heads
    best = jax.ops.segment_max(by_edge, targets, len(offsets) - 1, indices_are_sorted=True)
    best = jnp.where((jnp.diff(offsets) > 0)[:, None, None], best, 0)
    power = jnp.exp(by_edge - best[targets])
    total = jax.ops.segment_sum(power, targets, len(offsets) - 1, indices_are_sorted=True)
    alpha = (power / total[targets]).swapaxes(0, 1)
    log_sum = (best + jnp.log(jnp.where(total > 0, total, 1))).swapaxes(0, 1)
    _, edges, heads = alpha.shape
    factor = jnp.ones((), alpha.dtype)
    if seeds.size:
        mask = jax.vmap(lambda pair, r: kept(pair, edges * heads, r))
        rates = jnp.broadcast_to(settings[:, 1], len(seeds)) if len(settings) == 1 else settings[:, 1]
        pairs = jnp.broadcast_to(seeds, (len(rates), 2))
        factor = mask(pairs, rates).reshape(-1, edges, heads) / (1 - rate)
    return alpha, factor, raw, log_sum


def _by_xla(*operands: Any) -> list[jax.Array]:
    graph, (seeds, settings, s, t, x) = operands[:INDICES], operands[INDICES:]
    alpha, factor, _, log_sum = _softmax(graph, seeds, settings, s, t)
    y = _bound("weighted", "target", graph, alpha * factor, x)
    members = max(a.shape[0] for a in operands[INDICES:])
    return [_to(members, y), _to(members, log_sum)]


def _back_by_xla(*operands: Any) -> list[jax.Array]:
    graph, (seeds, settings, s, t, _, y, g, x) = operands[:INDICES], operands[INDICES:]
    inner = jnp.sum(g * y, axis=-1)
    alpha, factor, raw, _ = _softmax(graph, seeds, settings, s, t)
    by_x = _bound("weighted", "source", graph, alpha * factor, g)
    by_alpha = factor * _bound("weighted", "weight", graph, x, g)
    by_score = alpha * (by_alpha - inner[:, graph[1]])
    by_edge = jnp.where(raw >= 0, by_score, settings[:, :1, None] * by_score)
    by_s = _bound("at sources", "source", graph, by_edge[..., None])[..., 0]
    members = max(a.shape[0] for a in operands[INDICES:])
    return [_to(members, a) for a in (by_s, by_x, by_edge, inner)]


def _to(members: int, a: jax.Array) -> jax.Array:
    return jnp.broadcast_to(a, (members, *a.shape[1:]))


def _shapes(*operands: Any) -> list[Any]:
    targets, (heads, features) = operands[2].size - 1, operands[-1].shape[2:]
    return [((targets, heads, features), None), ((targets, heads), None)]


def _back_shapes(*operands: Any) -> list[Any]:
    nodes, heads, features = operands[-1].shape[1:]
    targets = operands[2].size - 1
    by_edge, inner = (operands[0].size, heads), (targets, heads)  # inner is <g, y>: room for the kernel
    return [((nodes, heads), None), ((nodes, heads, features), None), (by_edge, None), (inner, None)]


def _call(name: str, shapes: Any, operands: Any, *arguments: Any) -> list[jax.Array]:
    members = max(a.shape[0] for a in operands[INDICES:])
    dtype = operands[-1].dtype
    results = [jax.ShapeDtypeStruct((members, *shape), dtype) for shape, _ in shapes(*operands)]
    return list(jax.ffi.ffi_call(f"populace_{name}", results)(*arguments))


def _by_kernel(*operands: Any) -> list[jax.Array]:
    sources, _, offsets = operands[:3]
    return _call("attend", _shapes, operands, offsets, sources, *operands[INDICES:])


def _back_by_kernel(*operands: Any) -> list[jax.Array]:
    seeds, settings, s, t, log_sum, y, g, x = operands[INDICES:]
    rows = operands[3:INDICES]
    given = (seeds, settings, s, t, x, log_sum, y, g)
    return _call("attend_back", _back_shapes, operands, *rows, *given)


attend_p = primitive("attend", INDICES, _shapes, _by_xla, _by_kernel)
attend_back_p = primitive("attend_back", INDICES, _back_shapes, _back_by_xla, _back_by_kernel)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _fused(backend: str, graph: Any, seeds: Any, settings: Any, s: Any, t: Any, x: Any) -> jax.Array:
    return attend_p.bind(*graph, seeds, settings, s, t, x, backend=backend)[0]


def _forward(backend: str, graph: Any, seeds: Any, settings: Any, s: Any, t: Any, x: Any) -> Any:
    y, log_sum = attend_p.bind(*graph, seeds, settings, s, t, x, backend=backend)
    return y, (graph, seeds, settings, s, t, x, y, log_sum)


def _backward(backend: str, kept_for_it: Any, g: jax.Array) -> Any:
    graph, seeds, settings, s, t, x, y, log_sum = kept_for_it
    by_s, by_x, by_edge, _ = attend_back_p.bind(
        *graph, seeds, settings, s, t, log_sum, y, g, x, backend=backend
    )
    form: Any = {"form": "at targets", "wanted": "target", "backend": backend}
    by_t = sparse_p.bind(*graph, by_edge[..., None], **form)[0][..., 0]
    return None, None, jnp.zeros_like(settings), by_s, by_t, by_x


_fused.defvjp(_forward, _backward)


def fused(backend: str, graph: Any, seeds: Any, settings: Any, s: Any, t: Any, x: Any) -> jax.Array:
    """Return y (members, targets, H, F); only its first derivatives in reverse mode by s, t and x exist.

    Args:
        backend: `"auto"`, `"xla"` or `"native"`.
        graph: what `populace.nn.graph.segment_sum.indices` returns.
        seeds: (members, 2) uint32, or (1, 0) to drop nothing.
        settings: (members, 2), slope and rate.
        s: (members, sources, H).
        t: (members, targets, H).
        x: (members, sources, H, F).

    """
    return jnp.asarray(_fused(backend, graph, seeds, settings, s, t, x))
