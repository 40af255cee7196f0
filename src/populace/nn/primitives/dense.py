"""Dense layers with their activation and gradients, of many members with a layer each.

    y = activation(x W^T + b)

On CPU, layers of up to 256 units are computed by native kernels (`native/dense.cc`): XLA computes products of
such sizes at half the speed, and goes through memory once more for every bias, activation and slope. Larger
layers, and accelerators, are left to XLA.

Arrays are x (members, rows, inputs), W (members, outputs, inputs), b (members, outputs) and y (members, rows,
outputs), where one member is broadcast. `vmap` over examples makes more rows, over layers more members.

The derivative in a direction is a primitive of its own, made of dense layers, so that there are derivatives
of all orders and modes; its transpose is the kernel of the backward pass. Slopes are computed from y.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.interpreters import ad, batching

from populace.core.native import wide
from populace.nn.primitives.matmul import placed
from populace.nn.primitives.member_axis import batch_rows, members_of, primitive, rule_by_xla

FUSED = ("none", "relu", "tanh")
"""Activations that a dense layer may apply; a name's place is its number in native/kernels.h."""
LARGEST = 256
"""Units of a layer, in and out, up to which the kernels are used; beyond, XLA is as quick."""


def dense(x: jax.Array, weight: jax.Array, bias: jax.Array, activation: str = "none") -> jax.Array:
    """Return `activation(x W^T + b)`, (..., outputs), of x (..., inputs). O(inputs outputs) for each row.

    Args:
        x: (..., inputs).
        weight: (outputs, inputs).
        bias: (outputs,).
        activation: `none`, `relu` or `tanh`.

    """
    assert activation in FUSED
    if any(placed(a) for a in (x, weight, bias)):
        return _activate(x @ weight.T + bias, activation)
    dtype = jnp.result_type(x, weight, bias)
    operands = (a.astype(dtype) for a in (x.reshape(1, -1, x.shape[-1]), weight[None], bias[None]))
    y = dense_p.bind(*operands, backend="auto", activation=activation)[0]
    return y.reshape(*x.shape[:-1], weight.shape[0])


def _slope(y: jax.Array, activation: str) -> jax.Array:
    """Return the derivative of the activation, from what it gave."""
    return (y > 0).astype(y.dtype) if activation == "relu" else 1 - y * y


def _activate(z: jax.Array, activation: str) -> jax.Array:
    return {"none": lambda z: z, "relu": jax.nn.relu, "tanh": jnp.tanh}[activation](z)


def _product(x: jax.Array, weight: jax.Array) -> jax.Array:
    """Return x W^T of each member, of one member where both operands have one."""
    if len(x) == len(weight) == 1:
        return (x[0] @ weight[0].T)[None]
    own = [a[0] if len(a) == 1 else a for a in (x, weight)]
    return jax.vmap(lambda x, W: x @ W.T, [None if a.ndim == 2 else 0 for a in own])(*own)


def _by_xla(x: jax.Array, weight: jax.Array, bias: jax.Array, *, activation: str) -> list[jax.Array]:
    y = _activate(_product(x, weight) + bias[:, None], activation)
    return [jnp.broadcast_to(y, (members_of((x, weight, bias)), *y.shape[1:]))]


def _back_by_xla(
    x: jax.Array, weight: jax.Array, y: jax.Array, g: jax.Array, *, activation: str, by: str
) -> list[jax.Array]:
    members = members_of((x, weight, y, g))
    before = g if activation == "none" else g * _slope(y, activation)
    found = [
        _product(before, weight.swapaxes(1, 2)) if "x" in by else None,
        _product(before.swapaxes(1, 2), x.swapaxes(1, 2)) if "W" in by else None,
        jnp.sum(before, axis=1),
        None,
    ]
    shapes = _back_shapes(x, weight, y, g, activation=activation, by=by)
    return [
        jnp.zeros((members, *shape), g.dtype) if a is None else jnp.broadcast_to(a, (members, *shape))
        for a, (shape, _) in zip(found, shapes)
    ]


def _shapes(x: Any, weight: Any, bias: Any, *, activation: str) -> list[Any]:
    return [((x.shape[1], weight.shape[1]), None)]


def _back_shapes(x: Any, weight: Any, y: Any, g: Any, *, activation: str, by: str) -> list[Any]:
    """Gradients by x, W and b, without entries where they are not wanted, and room for the kernel."""
    return [
        (x.shape[1:] if "x" in by else (0, 0), None),
        (weight.shape[1:] if "W" in by else (0, 0), None),
        ((g.shape[2],), None),
        ((0, 0) if activation == "none" else g.shape[1:], None),
    ]


def _call(name: str, shapes: list[Any], *operands: jax.Array, activation: str) -> list[jax.Array]:
    members, dtype = members_of(operands), operands[0].dtype
    results = [jax.ShapeDtypeStruct((members, *shape), dtype) for shape, _ in shapes]
    number = np.int64(FUSED.index(activation))
    return list(jax.ffi.ffi_call(f"populace_{name}", results)(*operands, activation=number))


def _serves(weight: jax.Array) -> bool:
    return wide() and max(weight.shape[1:]) <= LARGEST


def _by_kernel(x: jax.Array, weight: jax.Array, bias: jax.Array, *, activation: str) -> list[jax.Array]:
    if not _serves(weight):
        return _by_xla(x, weight, bias, activation=activation)
    shapes = _shapes(x, weight, bias, activation=activation)
    return _call("dense", shapes, x, weight, bias, activation=activation)


def _back_by_kernel(*operands: jax.Array, activation: str, by: str) -> list[jax.Array]:
    if not _serves(operands[1]):
        return _back_by_xla(*operands, activation=activation, by=by)
    shapes = _back_shapes(*operands, activation=activation, by=by)
    return _call("dense_back", shapes, *operands, activation=activation)


def _along_by_xla(
    x: jax.Array, weight: jax.Array, y: jax.Array, *moved: jax.Array, activation: str, by: str
) -> list[jax.Array]:
    """Return the derivative of y as x, W and b move, of which `by` names those that do."""
    move = dict(zip(by, moved))
    nothing = jnp.zeros((1, weight.shape[1]), y.dtype)
    bias, parts = move.get("b", nothing), []
    bind = functools.partial(dense_p.bind, backend="auto", activation="none")
    if "x" in move:
        parts += bind(move["x"], weight, bias)
    if "W" in move:
        parts += bind(x, move["W"], nothing if parts else bias)
    along = sum(parts) if parts else bias[:, None]
    if activation != "none":
        along = along * _slope(y, activation)
    members = members_of((x, weight, y, *moved))
    return [jnp.broadcast_to(along, (members, *y.shape[1:]))]


def _along_shapes(x: Any, weight: Any, y: Any, *moved: Any, activation: str, by: str) -> list[Any]:
    return [(y.shape[1:], None)]


dense_p = primitive("dense", 0, _shapes, _by_xla, _by_kernel)
dense_back_p = primitive("dense_back", 0, _back_shapes, _back_by_xla, _back_by_kernel)
dense_along_p = primitive("dense_along", 0, _along_shapes, _along_by_xla, _along_by_xla)


def _jvp(primals: Any, tangents: Any, *, backend: str, activation: str) -> Any:
    x, weight, _ = primals
    (y,) = dense_p.bind(*primals, backend=backend, activation=activation)
    moved = {name: d for name, d in zip("xWb", tangents) if type(d) is not ad.Zero}
    if not moved:
        return [y], [ad.Zero(jax.typeof(y).to_tangent_aval())]
    own: Any = {"backend": backend, "activation": activation, "by": "".join(moved)}
    return [y], dense_along_p.bind(x, weight, y, *moved.values(), **own)


def _along_transpose(cotangents: Any, *operands: Any, backend: str, activation: str, by: str) -> list[Any]:
    x, weight, y, *moved = operands
    gradients: list[Any] = [None] * len(operands)
    if type(cotangents[0]) is ad.Zero:
        return gradients
    wanted = {name for name, d in zip(by, moved) if ad.is_undefined_primal(d)}
    own: Any = {"backend": backend, "activation": activation}
    found = dense_back_p.bind(x, weight, y, cotangents[0], by="".join(n for n in by if n in wanted), **own)
    for place, (name, d) in enumerate(zip(by, moved), 3):
        if name in wanted:
            gradient = found["xWb".index(name)]
            shared = d.aval.shape[0] < gradient.shape[0]
            gradients[place] = jnp.sum(gradient, axis=0, keepdims=True) if shared else gradient
    return gradients


def _batch(p: Any, rows: tuple[int, ...], operands: Any, dims: Any, **params: Any) -> Any:
    """Fold a mapped axis into rows where no layer has it, else into members; `rows`: operands with rows."""
    with_rows = [k in rows for k in range(3)] + [n == "x" for n in params.get("by", "")]
    return batch_rows(p, with_rows, operands, dims, **params)


ad.primitive_jvps[dense_p] = _jvp
ad.primitive_jvps[dense_along_p] = rule_by_xla(dense_along_p, _along_by_xla)
ad.primitive_jvps[dense_back_p] = rule_by_xla(dense_back_p, _back_by_xla)
ad.primitive_transposes[dense_along_p] = _along_transpose
batching.primitive_batchers[dense_p] = functools.partial(_batch, dense_p, (0,))
batching.primitive_batchers[dense_along_p] = functools.partial(_batch, dense_along_p, (0, 2))
