"""Elementwise maximum of the messages into each target."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.interpreters import ad

from populace.nn.graph.edges import EdgeIndex
from populace.nn.graph.segment_sum import INDICES, indices, sparse_p
from populace.nn.primitives.member_axis import primitive, tie


def _shapes(*operands: Any) -> list[Any]:
    shape = (operands[2].size - 1, *operands[-1].shape[2:])
    return [(shape, None), (shape, jnp.int32)]


def _by_xla(*operands: Any) -> list[jax.Array]:
    columns, targets, offsets, *_, x = operands
    count, edges = len(offsets) - 1, len(columns)
    messages = jnp.swapaxes(x, 0, 1)[columns]
    best = jax.ops.segment_max(messages, targets, count, indices_are_sorted=True)
    mine = (messages == best[targets]) | jnp.isnan(messages)
    place = jnp.where(mine, jnp.arange(edges, dtype=jnp.int32)[:, None, None, None], edges)
    chosen = jax.ops.segment_min(place, targets, count, indices_are_sorted=True)
    some = (jnp.diff(offsets) > 0)[:, None, None, None]
    return [jnp.where(some, best, 0).swapaxes(0, 1), jnp.where(some, chosen, -1).swapaxes(0, 1)]


def _by_kernel(*operands: Any) -> list[jax.Array]:
    columns, _, offsets, *_, x = operands
    shape = (x.shape[0], len(offsets) - 1, *x.shape[2:])
    results = [jax.ShapeDtypeStruct(shape, dtype) for dtype in (x.dtype, jnp.int32)]
    return list(jax.ffi.ffi_call("populace_maximum", results)(offsets, columns, x))


maximum_p = primitive("edge_maximum", INDICES, _shapes, _by_xla, _by_kernel)
"""graph, x (members, nodes, H, F) -> maximum and index of the first edge with it, (members, targets, H, F).

A target without edges gets 0 and -1.
"""


def maximum(edges: EdgeIndex, x: jax.Array, backend: str) -> jax.Array:
    """Return (members, targets, H, F) from x (members, sources, H, F); ties go to the first edge."""
    return maximum_p.bind(*indices(edges), *tie(x), backend=backend)[0]


def _jvp(primals: Any, tangents: Any, *, backend: str) -> Any:
    """Differentiate along the chosen edges, which do not change for small changes of x."""
    y, chosen = maximum_p.bind(*primals, backend=backend)
    nothing = [ad.Zero(jax.typeof(a).to_tangent_aval()) for a in (y, chosen)]
    if type(tangents[-1]) is ad.Zero:
        return [y, chosen], nothing
    form: Any = {"form": "chosen", "wanted": "target", "backend": backend}
    return [y, chosen], [sparse_p.bind(*primals[:-1], chosen, tangents[-1], **form)[0], nothing[1]]


ad.primitive_jvps[maximum_p] = _jvp
