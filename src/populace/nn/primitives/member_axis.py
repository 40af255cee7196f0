"""Primitives whose arrays have a leading member axis, the layout that the kernels expect.

Operands are index arrays, which describe a graph and are shared by all members, and arrays (members, ...),
where an axis of size 1 is broadcast. `vmap` enlarges the member axis; nothing is transposed or copied, except
operands that are mapped in one `vmap` and not in another.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from populace.core.errors import UsageError
from populace.core.native import DTYPES, missing

Program = Callable[..., Sequence[jax.Array]]


def primitive(name: str, indices: int, shapes: Any, by_xla: Program, by_kernel: Program) -> Primitive:
    """Make a primitive with several results, and a static parameter `backend` besides its own.

    Args:
        name: name of the primitive in jaxprs.
        indices: number of leading operands that are index arrays.
        shapes: `shapes(*operands, **params)` returns shape, without the member axis, and dtype (None: that of
            the last operand) of each result.
        by_xla: `by_xla(*operands, **params)` computes the results with JAX's operations.
        by_kernel: the same with the native kernels.

    """
    p = Primitive(name)
    p.multiple_results = True

    def abstract(*operands: Any, backend: str, **params: Any) -> list[Any]:
        members = members_of(operands[indices:])
        like = operands[-1]
        return [
            like.update(shape=(members, *shape), dtype=like.dtype if dtype is None else jnp.dtype(dtype))
            for shape, dtype in shapes(*operands, **params)
        ]

    def elsewhere(*operands: Any, backend: str, **params: Any) -> Any:
        if backend == "native":
            raise UsageError("backend 'native' runs on CPU only; use 'auto'")
        return by_xla(*operands, **params)

    def on_cpu(*operands: Any, backend: str, **params: Any) -> Any:
        dtype = next((a.dtype for a in operands[::-1] if jnp.issubdtype(a.dtype, jnp.inexact)), None)
        fits = str(dtype) in DTYPES and not missing()
        if backend == "native" and not fits:
            raise UsageError(f"backend 'native' supports float32 and float64, got {operands[-1].dtype}")
        return (by_kernel if backend != "xla" and fits else by_xla)(*operands, **params)

    @functools.cache
    def compiled(**params: Any) -> Any:
        return jax.jit(functools.partial(p.bind, **params))

    def outside_of_programs(*operands: Any, **params: Any) -> Any:
        # Without this a program would bind the primitive again, and again, where a person has disabled jit.
        with jax.disable_jit(False):
            return compiled(**params)(*operands)

    p.def_impl(outside_of_programs)
    p.def_abstract_eval(abstract)
    batching.primitive_batchers[p] = functools.partial(batch_members, p, indices)
    mlir.register_lowering(p, mlir.lower_fun(elsewhere, multiple_results=True))
    mlir.register_lowering(p, mlir.lower_fun(on_cpu, multiple_results=True), platform="cpu")
    return p


def members_of(operands: Sequence[Any]) -> int:
    """Return the size of the member axis of arrays (members, ...): that of those that are not broadcast."""
    return next((a.shape[0] for a in operands if a.shape[0] != 1), 1)


def tie(*operands: jax.Array) -> list[jax.Array]:
    """Return the operands; within `shard_map`, mark all as varying over the axes over which one of them does.

    The gradient of an operand that all devices share is summed over the mesh only if it is marked as varying.
    Nothing else is done to it: what is computed with the others, such as a sum of none of their entries,
    would be mapped wherever they are, and each example of a batch would get a copy of the weights.
    """
    own = [_varies_over(a) for a in operands]
    axes = frozenset[Any]().union(*own)
    return [
        jax.lax.pcast(a, tuple(axes - varies), to="varying") if axes - varies else a
        for a, varies in zip(operands, own)
    ]


def _varies_over(a: jax.Array) -> frozenset[Any]:
    """Return the axes of a mesh over which a value varies, where `shard_map` keeps track of it."""
    kind: Any = jax.typeof(a)
    # JAX 0.10 says it by `manual_axis_type`, releases before by `vma`.
    varying = getattr(getattr(kind, "manual_axis_type", None), "varying", None)
    return getattr(kind, "vma", frozenset()) if varying is None else varying


def batch_members(p: Primitive, indices: int, operands: Any, dims: Any, **params: Any) -> Any:
    """Map a primitive of this kind over an axis, which becomes a part of the member axis."""
    size = next(a.shape[d] for a, d in zip(operands, dims) if d is not None)
    operands = [a if d is None else jnp.moveaxis(a, d, 0) for a, d in zip(operands, dims)]
    mapped = [d is not None for d in dims]
    if any(mapped[:indices]):  # different graphs: one after the other

        def one(own: Any) -> Any:
            rest = iter(own)
            return p.bind(*(next(rest) if m else a for a, m in zip(operands, mapped)), **params)

        results = jax.lax.map(one, [a for a, m in zip(operands, mapped) if m])
        return results, [0] * len(results)
    members = next((a.shape[m] for a, m in list(zip(operands, mapped))[indices:] if a.shape[m] != 1), 1)
    folded = operands[:indices]
    for a, m in list(zip(operands, mapped))[indices:]:
        if m or a.shape[0] > 1:  # not broadcast over members
            own = a.shape[1 + m :]
            a = jnp.broadcast_to(a if m else a[None], (size, members, *own)).reshape(size * members, *own)
        folded.append(a)
    results = p.bind(*folded, **params)
    return [r.reshape(size, members, *r.shape[1:]) for r in results], [0] * len(results)


def batch_rows(p: Primitive, with_rows: Sequence[bool], operands: Any, dims: Any, **params: Any) -> Any:
    """Map a primitive over an axis, folded into rows if only operands with rows have it, else into members.

    Args:
        p: a primitive of arrays (members, rows, ...), and of others without rows; all results have rows.
        with_rows: which operands have rows.
        operands: the arrays.
        dims: the axis of each operand that is mapped, or None.
        **params: parameters of the primitive.

    """
    mapped = [d is not None for d in dims]
    if 0 in (a.shape[d] for a, d in zip(operands, dims) if d is not None) or any(
        m and not r for m, r in zip(mapped, with_rows)
    ):
        return batch_members(p, 0, operands, dims, **params)
    size = next(a.shape[d] for a, d in zip(operands, dims) if d is not None)

    def more_rows(a: jax.Array, d: int | None) -> jax.Array:
        wide = (len(a), size, *a.shape[1:])
        a = jnp.broadcast_to(a[:, None], wide) if d is None else jnp.moveaxis(a, d, 1)
        return a.reshape(len(a), size * a.shape[2], *a.shape[3:])

    folded = [more_rows(a, d) if r else a for a, d, r in zip(operands, dims, with_rows)]
    results = p.bind(*folded, **params)
    return [r.reshape(len(r), size, r.shape[1] // size, *r.shape[2:]) for r in results], [1] * len(results)


def rule_by_xla(p: Primitive, by_xla: Program) -> Any:
    """Return the rule of a primitive that is differentiated as its formula is."""

    def jvp(primals: Any, tangents: Any, *, backend: str, **params: Any) -> Any:
        moved = [k for k, d in enumerate(tangents) if type(d) is not ad.Zero]

        def of(*own: Any) -> Any:
            place = dict(zip(moved, own))
            return by_xla(*(place.get(k, a) for k, a in enumerate(primals)), **params)

        _, along = jax.jvp(of, [primals[k] for k in moved], [tangents[k] for k in moved])
        return p.bind(*primals, backend=backend, **params), along

    return jvp
