"""Sums over the edges of a graph: five multilinear forms and their derivatives.

    "weighted"   S(w, x, y) = sum_(e, h, f) w[e, h] x[source(e), h, f] y[target(e), h, f]
    "plain"      S(x, y)    = sum_(e, h, f) x[source(e), h, f] y[target(e), h, f]
    "at sources" S(z, x)    = sum_(e, h, f) z[e, h, f] x[source(e), h, f]
    "at targets" S(z, y)    = sum_(e, h, f) z[e, h, f] y[target(e), h, f]
    "chosen"     S(x, y)    = sum_(e, h, f) x[source(e), h, f] y[target(e), h, f]
                              where chosen[target(e), h, f] = e

The derivative of a form with respect to one operand is linear in the others: with respect to y it is the
(weighted) sum of messages from sources to targets, with respect to x the same along reversed edges, with
respect to w a dot product per edge, with respect to z a gather. Derivatives of these are again of this kind.
So a single primitive takes all operands of a form but one and returns the derivative with respect to that
one: every derivative is a sum in a fixed order instead of a scattered addition, and `vmap` only enlarges a
batch.

Arrays have a leading member axis: w (members, E, H), z (members, E, H, F), x (members, sources, H, F), y and
chosen (members, targets, H, F).
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.interpreters import ad

from populace.nn.graph.edges import EdgeIndex
from populace.nn.primitives.member_axis import members_of, primitive, tie

WEIGHT, EDGE, SOURCE, TARGET = "weight", "edge", "source", "target"
FORMS = {
    "weighted": (WEIGHT, SOURCE, TARGET),
    "plain": (SOURCE, TARGET),
    "at sources": (EDGE, SOURCE),
    "at targets": (EDGE, TARGET),
    "chosen": (SOURCE, TARGET),
}
INDICES = 6


def indices(edges: EdgeIndex) -> tuple[jax.Array, ...]:
    """Return the index arrays of the graph in the order that the primitives take them."""
    back = edges.back
    arrays = (edges.sources, edges.targets, edges.rows.offsets, back.offsets, back.columns, back.order)
    return tuple(map(jnp.asarray, arrays))


def sparse(edges: EdgeIndex, form: str, wanted: str, *operands: jax.Array, backend: str) -> jax.Array:
    """Return the derivative of a form with respect to one of its operands, given the others.

    Args:
        edges: edges of the graph.
        form: a key of `FORMS`.
        wanted: the operand to differentiate by: `"weight"`, `"edge"`, `"source"` or `"target"`.
        operands: the other operands, in the form's order and of one dtype; `chosen` comes first.
        backend: `"auto"`, `"xla"` or `"native"`.

    """
    others = tie(*operands)
    return sparse_p.bind(*indices(edges), *others, form=form, wanted=wanted, backend=backend)[0]


def _shapes(*operands: Any, form: str, wanted: str) -> list[Any]:
    sources, _, offsets, back_offsets = operands[:4]
    count = {SOURCE: back_offsets.size - 1, TARGET: offsets.size - 1}.get(wanted, sources.size)
    heads = operands[-1].shape[2:]
    return [((count, heads[0]) if wanted == WEIGHT else (count, *heads), None)]


def _by_xla(*operands: Any, form: str, wanted: str) -> list[jax.Array]:
    sources, targets, offsets, back_offsets, back_targets, order = operands[:INDICES]
    *given, last = (jnp.swapaxes(a, 0, 1) for a in operands[INDICES:])  # members beside heads and features
    if wanted == WEIGHT:
        return [jnp.sum(given[0][sources] * last[targets], axis=-1).swapaxes(0, 1)]
    if wanted == EDGE:
        return [last[sources if form == "at sources" else targets].swapaxes(0, 1)]
    forward = wanted == TARGET
    place = jnp.arange(len(sources)) if forward else order
    near, far = (targets, sources) if forward else (sources[order], back_targets)
    if form in ("at sources", "at targets"):
        messages = last if forward else last[order]
    else:
        messages = last[far]
        if form == "weighted":
            messages = messages * (given[0] if forward else given[0][order])[..., None]
        elif form == "chosen":
            mine = given[0][near if forward else far] == place[:, None, None, None]
            messages = jnp.where(mine, messages, 0)
    count = len(offsets if forward else back_offsets) - 1
    total = jax.ops.segment_sum(messages, near, count, indices_are_sorted=True)
    return [total.swapaxes(0, 1)]


def _by_kernel(*operands: Any, form: str, wanted: str) -> list[jax.Array]:
    sources, targets, offsets, back_offsets, back_targets, order = operands[:INDICES]
    given, last = operands[INDICES:-1], operands[-1]
    if wanted == EDGE:  # a plain gather of rows, which XLA does equally fast
        return [last[:, sources if form == "at sources" else targets]]
    members = members_of(operands[INDICES:])
    (shape, _), *_ = _shapes(*operands, form=form, wanted=wanted)
    result = jax.ShapeDtypeStruct((members, *shape), last.dtype)

    def call(name: str, *arguments: jax.Array) -> list[jax.Array]:
        return [jax.ffi.ffi_call(f"populace_{name}", result)(*arguments)]

    if wanted == WEIGHT:
        return call("products", offsets, sources, given[0], last)
    forward = wanted == TARGET
    same = jnp.zeros(0, jnp.int32)
    if form == "chosen":
        if forward:
            return [_pick(last, given[0], sources)]
        return call("chosen", back_offsets, back_targets, order, given[0], last)
    weight = given[0] if form == "weighted" else jnp.zeros((1, 0, 1), last.dtype)
    if form in ("at sources", "at targets"):
        columns = jnp.arange(len(sources), dtype=jnp.int32) if forward else order
        return call("sum", offsets if forward else back_offsets, columns, same, weight, last)
    rows = (offsets, sources, same) if forward else (back_offsets, back_targets, order)
    return call("sum", *rows, weight, last)


def _pick(x: jax.Array, chosen: jax.Array, sources: jax.Array) -> jax.Array:
    """Return x[m, source(chosen[m, i, h, f]), h, f], and 0 where no edge is chosen."""
    if not len(sources):
        return jnp.zeros(jnp.broadcast_shapes(x.shape[:1], chosen.shape[:1]) + chosen.shape[1:], x.dtype)
    members = max(len(x), len(chosen))
    x, chosen = (jnp.broadcast_to(a, (members, *a.shape[1:])) for a in (x, chosen))
    rows = sources[jnp.maximum(chosen, 0)]
    return jnp.where(chosen < 0, 0, jnp.take_along_axis(x, rows, axis=1))


sparse_p = primitive("sparse", INDICES, _shapes, _by_xla, _by_kernel)


def _jvp(primals: Any, tangents: Any, **params: Any) -> Any:
    out = sparse_p.bind(*primals, **params)
    total: Any = None
    for k in range(INDICES, len(primals)):
        if type(tangents[k]) is ad.Zero or not jnp.issubdtype(primals[k].dtype, jnp.inexact):
            continue
        along = sparse_p.bind(*primals[:k], tangents[k], *primals[k + 1 :], **params)[0]
        total = along if total is None else total + along
    return out, [ad.Zero(jax.typeof(out[0]).to_tangent_aval()) if total is None else total]


def _transpose(cotangents: Any, *operands: Any, form: str, wanted: str, backend: str) -> list[Any]:
    gradients: list[Any] = [None] * len(operands)
    first = len(operands) - len(FORMS[form]) + 1  # behind indices, and chosen
    kinds = [kind for kind in FORMS[form] if kind != wanted]
    by = next(k for k in range(first, len(operands)) if ad.is_undefined_primal(operands[k]))
    if type(cotangents[0]) is ad.Zero:
        return gradients
    have = dict(zip(kinds, operands[first:])) | {wanted: cotangents[0]}
    kind = kinds[by - first]
    rest = [have[k] for k in FORMS[form] if k != kind]
    found = sparse_p.bind(*operands[:first], *rest, form=form, wanted=kind, backend=backend)[0]
    shared = operands[by].aval.shape[0] < found.shape[0]
    gradients[by] = jnp.sum(found, axis=0, keepdims=True) if shared else found
    return gradients


ad.primitive_jvps[sparse_p] = _jvp
ad.primitive_transposes[sparse_p] = _transpose
