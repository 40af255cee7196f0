"""Implementations of a convolution and its gradients: native kernel, matrix products, or XLA's operation.

The native kernel (`native/correlation.cc`) sums over the taps in place. Matrix products copy: along every
spatial axis the taps of a kernel are either gathered before one matrix product (each position collects the
entries that it reads: "patches") or spread after it (each entry is multiplied by all taps, and the results
are shifted and added: "taps"):

    gather    p[i, (k, c)] = x[i stride + k dilation - before, c]
    product   z[i, (k', o)] = sum_(k, c) p[i, (k, c)] w[(k, c), (k', o)]
    spread    y[i, o] = sum_k' z[i stride + k' dilation - before, (k', o)]

Gathering along one axis and spreading along the other combines both: 5 x 5 taps need 5 times the input and 5
times the output, not 25 times one of them, and zeros along the spread axis are not multiplied. Spreading is
the adjoint of gathering, so the gradients use the same moves: for the input, gather the output, multiply,
spread; for the kernel, gather both, multiply.

Arrays are those of `correlation.py`: leading axes for members, then examples.
"""

import itertools
import math
from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from populace.core.errors import unknown
from populace.core.native import check_backend, wide
from populace.nn.conv.shifts import gather, picks, puts, spread
from populace.nn.conv.window import Window
from populace.nn.primitives.precision import at_least_float32

INPUT, KERNEL, OUTPUT = "input", "kernel", "output"
NAMES = ("auto", "native", "patches", "taps", "xla")


class Geometry(NamedTuple):
    """The static description of a convolution."""

    window: Window
    sizes: tuple[int, ...]
    in_channels: int
    out_channels: int
    groups: int
    lowering: str


def check_lowering(layer: str, lowering: str) -> str:
    """Return the name of an implementation after checking it.

    Raises:
        UsageError: an unknown name, or `"native"` without the native kernels.

    """
    if lowering not in NAMES:
        raise unknown("lowering", lowering, NAMES, where=f" of {layer}")
    if lowering == "native":
        check_backend(lowering, f"lowering of {layer}:")
    return lowering


def by_xla(a: jax.Array, b: jax.Array, wanted: str, geometry: Geometry) -> jax.Array:
    """Return the third of input, kernel and output from the other two, in this order, by `lax.conv`."""
    window, sizes, ins, outs, groups, _ = geometry
    n = len(sizes)
    last = (0, n + 1, *range(1, n + 1))

    def convolution(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return lax.conv_general_dilated(
            x, kernel, window.stride, window.pads(sizes), rhs_dilation=window.dilation,
            feature_group_count=groups,
            dimension_numbers=lax.ConvDimensionNumbers(last, (n + 1, n, *range(n)), last),
        )  # fmt: skip

    def member(a: jax.Array, b: jax.Array) -> jax.Array:
        if wanted == OUTPUT:
            return convolution(a, b)
        nothing = jnp.sum(b.ravel()[:0])  # carries over which devices the type varies, inside shard_map
        if wanted == INPUT:
            like = nothing + jnp.zeros((len(b), *sizes, ins), a.dtype)
            return jax.linear_transpose(lambda x: convolution(x, a), like)(b)[0]
        like = nothing + jnp.zeros((*window.size, ins // groups, outs), a.dtype)
        return jax.linear_transpose(lambda kernel: convolution(a, kernel), like)(b)[0]

    return member(a[0], b[0])[None] if len(a) == 1 else jax.vmap(member)(a, b)


def by_kernel(a: jax.Array, b: jax.Array, wanted: str, geometry: Geometry) -> jax.Array:
    """Return the third of input, kernel and output from the other two in this order, by native code."""
    window, sizes, ins, outs, groups, _ = geometry
    front = b.shape[:2] if wanted == INPUT else a.shape[:2]
    shapes = {
        INPUT: (*front, *sizes, ins),
        KERNEL: (front[0], *window.size, ins // groups, outs),
        OUTPUT: (*front, *window.outputs(sizes), outs),
    }
    call = jax.ffi.ffi_call("populace_correlation", jax.ShapeDtypeStruct(shapes[wanted], a.dtype))
    return call(
        a, b, wanted=wanted, groups=np.int64(groups), stride=np.asarray(window.stride, np.int64),
        dilation=np.asarray(window.dilation, np.int64),
        before=np.asarray([low for low, _ in window.pads(sizes)], np.int64),
    )  # fmt: skip


def kernel_pays(wanted: str, geometry: Geometry) -> bool:
    """Return whether the native kernel is faster than matrix products.

    It computes vectors of 8 channels: with fewer channels most of a vector is wasted, while products use the
    taps as columns too, and for the gradient of the kernel on both sides.
    """
    channels = geometry.in_channels if wanted == INPUT else geometry.out_channels
    return wide() and channels // geometry.groups >= (6 if wanted == KERNEL else 3)


def by_products(a: jax.Array, b: jax.Array, wanted: str, geometry: Geometry) -> jax.Array:
    """Return the third of input, kernel and output from the other two, in this order, by matrix products.

    Products are accumulated in float32 at least, like in XLA's own convolution.
    """
    return _by_products(at_least_float32(a), at_least_float32(b), wanted, geometry).astype(a.dtype)


def _by_products(a: jax.Array, b: jax.Array, wanted: str, geometry: Geometry) -> jax.Array:
    groups = geometry.groups
    if groups > 1 and geometry.in_channels == groups and geometry.lowering != "patches":
        return _by_multiples(a, b, wanted, geometry)
    gathered, pick, put = _plan(geometry), picks(*geometry[:2]), puts(*geometry[:2])
    inside = [axis for axis, gather_it in enumerate(gathered) if gather_it]
    outside = [axis for axis, gather_it in enumerate(gathered) if not gather_it]

    def patches(x: jax.Array) -> jax.Array:
        return gather(_split(x, groups), {2 + axis: pick[axis] for axis in inside})

    def shifted(y: jax.Array) -> jax.Array:
        return gather(_split(y, groups), {2 + axis: put[axis] for axis in outside})

    if wanted == OUTPUT:
        p = patches(a)
        z = _product(_rows(p), _matrix(b, inside, outside, groups), 2, 1)
        return _merge(spread(_unrows(z, p), {2 + axis: pick[axis] for axis in outside}))
    if wanted == INPUT:
        q = shifted(b)
        z = _product(_rows(q), _matrix(a, inside, outside, groups), 2, 2)
        return _merge(spread(_unrows(z, q), {2 + axis: put[axis] for axis in inside}))
    product = _product(_rows(patches(a)), _rows(shifted(b)), 1, 1)
    return _kernel(product, inside, outside, geometry)


def _split(x: jax.Array, groups: int) -> jax.Array:
    return x.reshape(*x.shape[:-1], groups, x.shape[-1] // groups)


def _merge(x: jax.Array) -> jax.Array:
    return x.reshape(*x.shape[:-2], -1)


def _rows(x: jax.Array) -> jax.Array:
    """(members, ..., groups, columns) -> (members * groups, rows, columns)."""
    members, groups, columns = x.shape[0], *x.shape[-2:]
    return x.reshape(members, -1, groups, columns).swapaxes(1, 2).reshape(members * groups, -1, columns)


def _unrows(z: jax.Array, like: jax.Array) -> jax.Array:
    """(members * groups, rows, columns) -> (members, ..., groups, columns), laid out as another array."""
    members, groups = like.shape[0], like.shape[-2]
    z = z.reshape(members, groups, -1, z.shape[-1]).swapaxes(1, 2)
    return z.reshape(*like.shape[:-1], z.shape[-1])


def _matrix(kernel: jax.Array, inside: list[int], outside: list[int], groups: int) -> jax.Array:
    """(members, *taps, Cin / groups, Cout) -> (members * groups, (taps inside, c), (taps outside, o))."""
    members, *taps, ins, outs = kernel.shape
    n = len(taps)
    w = kernel.reshape(members, *taps, ins, groups, outs // groups)
    w = w.transpose(0, n + 2, *(1 + a for a in inside), n + 1, *(1 + a for a in outside), n + 3)
    return w.reshape(members * groups, math.prod(taps[a] for a in inside) * ins, -1)


def _kernel(matrix: jax.Array, inside: list[int], outside: list[int], geometry: Geometry) -> jax.Array:
    """Undo `_matrix`."""
    groups, taps, n = geometry.groups, geometry.window.size, len(geometry.sizes)
    ins, outs = geometry.in_channels // groups, geometry.out_channels
    shape = (*(taps[a] for a in inside), ins, *(taps[a] for a in outside), outs // groups)
    w = matrix.reshape(-1, groups, *shape)
    order = (0, n + 2, *(1 + a for a in inside), n + 1, *(1 + a for a in outside), n + 3)
    w = w.transpose([order.index(i) for i in range(n + 4)])
    return w.reshape(-1, *taps, ins, outs)


def _product(a: jax.Array, b: jax.Array, contract_a: int, contract_b: int) -> jax.Array:
    """Multiply matrices, one pair or many."""
    if len(a) == 1:
        return lax.dot_general(a[0], b[0], (((contract_a - 1,), (contract_b - 1,)), ((), ())))[None]
    return lax.dot_general(a, b, (((contract_a,), (contract_b,)), ((0,), (0,))))


def _by_multiples(a: jax.Array, b: jax.Array, wanted: str, geometry: Geometry) -> jax.Array:
    """One input channel per group: a sum of scaled, shifted arrays, which fuses into a single loop."""
    window, sizes, groups = geometry.window, geometry.sizes, geometry.groups
    members, outs = len(a), geometry.out_channels // groups
    moves = (puts if wanted == INPUT else picks)(window, sizes)
    source = _split(b if wanted == INPUT else a, groups)
    for axis, move in enumerate(moves):
        source = move.pad(source, 2 + axis)
    ones = [1] * (1 + len(sizes))
    each = []
    for taps in itertools.product(*map(range, window.size)):
        shifted = source
        for axis, tap in enumerate(taps):
            shifted = moves[axis].take(shifted, 2 + axis, tap)
        if wanted == KERNEL:
            each.append(jnp.sum(shifted * _split(b, groups), axis=range(1, 2 + len(sizes))))
            continue
        kernel = (a if wanted == INPUT else b)[(slice(None), *taps)]
        each.append(shifted * kernel.reshape(members, *ones, groups, outs))
    if wanted == KERNEL:
        return jnp.stack(each, axis=1).reshape(members, *window.size, 1, groups * outs)
    total = sum(each[1:], each[0])
    return jnp.sum(total, axis=-1) if wanted == INPUT else _merge(total)


@cache
def _plan(geometry: Geometry) -> tuple[bool, ...]:
    """Choose the axes to gather: those with the lowest cost of one example."""
    n = len(geometry.sizes)
    if geometry.lowering in ("patches", "taps"):
        return (geometry.lowering == "patches",) * n
    plans = itertools.product((True, False), repeat=n)
    return min(plans, key=lambda gathered: _cost(gathered, geometry))


def _cost(gathered: tuple[bool, ...], geometry: Geometry) -> float:
    """Return the cost of a plan, in multiply-adds of a matrix product."""
    window, sizes, ins, outs, groups, _ = geometry
    places = window.outputs(sizes)
    rows = math.prod(p if g else n for p, n, g in zip(places, sizes, gathered))
    inside = math.prod(k for k, g in zip(window.size, gathered) if g) * ins
    outside = math.prod(k for k, g in zip(window.size, gathered) if not g) * outs
    return rows * (inside * outside / groups + MOVED * (inside + outside))


MOVED = 70.0
"""Cost of copying a number, in multiply-adds: it is written once and read once or twice."""
