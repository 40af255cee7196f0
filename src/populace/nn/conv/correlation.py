"""Correlation: a trilinear form of the input, kernel and output of a convolution.

    S(x, w, y) = sum_(b, i, k, c, o) x[b, i stride + k dilation - before, c] w[k, c, o] y[b, i, o]

Its derivative with respect to one of the three is bilinear in the other two,

    output   the convolution of x with w
    input    the transposed convolution of y with w: the gradient of the input
    kernel   the correlation of x with y: the gradient of the weight

and the derivatives of these are again of the same kind. So there is one primitive, which takes two and
returns the third. It is a primitive rather than a composition of JAX's because it must see the whole batch
that `vmap` makes of single examples: then the gradient of a weight is one product over all examples, and
members with their own weights form a batched product instead of a grouped convolution.

Arrays have two leading axes: members with their own kernels, and examples that share one.

    input (members, batch, *sizes, Cin)    kernel (members, *taps, Cin / groups, Cout)
    output (members, batch, *places, Cout)
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from populace.core.errors import UsageError
from populace.core.native import DTYPES, missing
from populace.nn.conv.lowering import (
    INPUT,
    KERNEL,
    OUTPUT,
    Geometry,
    by_kernel,
    by_products,
    by_xla,
    kernel_pays,
)
from populace.nn.primitives.member_axis import tie

_KINDS = (INPUT, KERNEL, OUTPUT)

correlation_p = Primitive("correlation")


def convolution(x: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """Return (*places, Cout) of x (*sizes, Cin) and kernel (*taps, Cin / groups, Cout)."""
    return _bind(x[None, None], kernel[None], wanted=OUTPUT, geometry=geometry)[0, 0]


def transposed_convolution(kernel: jax.Array, y: jax.Array, geometry: Geometry) -> jax.Array:
    """Return (*sizes, Cin) of kernel (*taps, Cin / groups, Cout) and y (*places, Cout)."""
    return _bind(kernel[None], y[None, None], wanted=INPUT, geometry=geometry)[0, 0]


def flops_of_kernel(a: Any, b: Any, *, wanted: str, geometry: Geometry) -> float:
    """Return the FLOPs of the native kernel, which XLA cannot count; 0 if another implementation is used.

    `2 members batch places K (Cin / groups) Cout`, where K is the size of the kernel, for each of the three.
    """
    if jax.default_backend() != "cpu" or not _kernel_serves(a.dtype, wanted, geometry):
        return 0.0
    window, sizes, ins, outs, groups, _ = geometry
    examples = math.prod((b if wanted == INPUT else a).shape[:2])
    return 2.0 * examples * math.prod((*window.outputs(sizes), *window.size, ins // groups, outs))


def _bind(a: jax.Array, b: jax.Array, **params: Any) -> jax.Array:
    return correlation_p.bind(*tie(a, b), **params)


def _program(a: jax.Array, b: jax.Array, *, wanted: str, geometry: Geometry) -> jax.Array:
    """Compute it by JAX's operations, as CPUs like them."""
    return (by_xla if geometry.lowering == "xla" else by_products)(a, b, wanted, geometry)


def _on_cpu(a: jax.Array, b: jax.Array, *, wanted: str, geometry: Geometry) -> jax.Array:
    """Compute it as CPUs like it."""
    if geometry.lowering == "native" and a.dtype.name not in DTYPES:
        raise UsageError(f"lowering 'native' computes float32 and float64, got {a.dtype}; use 'auto'")
    serves = _kernel_serves(a.dtype, wanted, geometry)
    return (by_kernel if serves else _program)(a, b, wanted=wanted, geometry=geometry)


def _kernel_serves(dtype: Any, wanted: str, geometry: Geometry) -> bool:
    if dtype.name not in DTYPES or missing():
        return False
    return geometry.lowering == "native" or (geometry.lowering == "auto" and kernel_pays(wanted, geometry))


def _elsewhere(a: jax.Array, b: jax.Array, *, wanted: str, geometry: Geometry) -> jax.Array:
    """Compute it as accelerators like it."""
    if geometry.lowering == "native":
        raise UsageError("lowering 'native' computes on CPU only; use 'auto'")
    return (by_xla if geometry.lowering in ("auto", "xla") else by_products)(a, b, wanted, geometry)


@functools.cache
def _compiled(**params: Any) -> Any:
    return jax.jit(functools.partial(correlation_p.bind, **params))


def _abstract(a: Any, b: Any, **params: Any) -> Any:
    return jax.make_jaxpr(functools.partial(_program, **params))(a, b).out_avals[0]


def _transpose(by: int, cotangent: jax.Array, *operands: Any, wanted: str, geometry: Geometry) -> jax.Array:
    """Return the derivative by the first or the second operand, from the other."""
    kinds = [kind for kind in _KINDS if kind != wanted]
    pair = {wanted: cotangent, kinds[1 - by]: operands[1 - by]}
    return correlation_p.bind(*(pair[k] for k in _KINDS if k in pair), wanted=kinds[by], geometry=geometry)


def _batch(operands: Any, dims: Any, *, wanted: str, geometry: Geometry) -> tuple[jax.Array, int]:
    """Fold the mapped axis into members, or, if only one operand has it, into an axis of the result."""
    a, b = operands
    if 0 in (x.shape[d] for x, d in zip(operands, dims) if d is not None):
        return _nothing(operands, dims, wanted=wanted, geometry=geometry), 0
    bind = functools.partial(correlation_p.bind, wanted=wanted)
    if None not in dims:
        size = a.shape[dims[0]]
        return _unfold(bind(_fold(a, dims[0], 0), _fold(b, dims[1], 0), geometry=geometry), size, 0), 0
    mapped = 0 if dims[1] is None else 1
    kind = [kind for kind in _KINDS if kind != wanted][mapped]
    size = operands[mapped].shape[dims[mapped]]
    if KERNEL not in (kind, wanted):
        axes, wider = {INPUT: 1, OUTPUT: 1}, geometry  # more examples
    elif OUTPUT not in (kind, wanted):
        axes, wider = {INPUT: -1, KERNEL: -2}, geometry._replace(in_channels=size * geometry.in_channels)
    else:
        axes, wider = {KERNEL: -1, OUTPUT: -1}, geometry._replace(out_channels=size * geometry.out_channels)

    def blocks(kind: str) -> int:  # channels lie group by group, but for a kernel's Cin: those of one group
        return geometry.groups if axes[kind] == -1 else 1

    folded = _fold(operands[mapped], dims[mapped], axes[kind], blocks(kind))
    result = bind(folded, b, geometry=wider) if mapped == 0 else bind(a, folded, geometry=wider)
    return _unfold(result, size, axes[wanted], blocks(wanted)), 0


def _nothing(operands: Any, dims: Any, **params: Any) -> jax.Array:
    """Return the result of a mapped axis without entries: a size of 0 cannot be folded into another."""
    one = [
        jax.ShapeDtypeStruct(x.shape if d is None else (*x.shape[:d], *x.shape[d + 1 :]), x.dtype)
        for x, d in zip(operands, dims)
    ]
    found = _abstract(*one, **params)
    nothing = sum(jnp.sum(x.ravel()[:0]) for x in operands)  # carries over which devices the type varies
    return jnp.zeros((0, *found.shape), found.dtype) + nothing


def _fold(x: jax.Array, dim: int, axis: int, blocks: int = 1) -> jax.Array:
    """Merge a mapped axis into another (of the array without it), within each of its blocks."""
    x = jnp.moveaxis(x, dim, 0)
    size, shape = x.shape[0], x.shape[1:]
    axis %= len(shape)
    x = x.reshape(size, *shape[:axis], blocks, shape[axis] // blocks, *shape[axis + 1 :])
    x = jnp.moveaxis(x, 0, axis + 1)
    return x.reshape(*shape[:axis], size * shape[axis], *shape[axis + 1 :])


def _unfold(x: jax.Array, size: int, axis: int, blocks: int = 1) -> jax.Array:
    """Undo `_fold`; the mapped axis comes out in front."""
    shape = x.shape
    axis %= len(shape)
    whole = shape[axis] // size
    x = x.reshape(*shape[:axis], blocks, size, whole // blocks, *shape[axis + 1 :])
    x = jnp.moveaxis(x, axis + 1, 0)
    return x.reshape(size, *shape[:axis], whole, *shape[axis + 1 :])


def _outside_of_programs(a: jax.Array, b: jax.Array, **params: Any) -> jax.Array:
    # Without this a program would bind the primitive again, and again, where a person has disabled jit.
    with jax.disable_jit(False):
        return _compiled(**params)(a, b)


correlation_p.def_impl(_outside_of_programs)
correlation_p.def_abstract_eval(_abstract)
ad.defbilinear(correlation_p, functools.partial(_transpose, 0), functools.partial(_transpose, 1))
batching.primitive_batchers[correlation_p] = _batch
mlir.register_lowering(correlation_p, mlir.lower_fun(_elsewhere, multiple_results=False))
mlir.register_lowering(correlation_p, mlir.lower_fun(_on_cpu, multiple_results=False), platform="cpu")
