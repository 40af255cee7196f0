"""Primitives on graphs whose arrays keep an axis of members in front, where a kernel wants it.

Operands are indices, which say who hears whom and are the same for all members, and arrays (members, ...),
where one member stands for all. `vmap` only makes more members; nothing is turned or copied, but for operands
that are mapped in one `vmap` and not in another.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir
from jax.sharding import AxisType

from populace.core.errors import UsageError
from populace.nn.primitives.native import DTYPES, missing

Program = Callable[..., Sequence[jax.Array]]


def primitive(name: str, indices: int, shapes: Any, by_xla: Program, by_kernel: Program) -> Primitive:
    """Make a primitive of several results, with the static parameter `backend` besides its own.

    Args:
        name: what it is called in programs.
        indices: how many of the first operands are indices.
        shapes: `shapes(*operands, **params)` returns shape and dtype (None: that of the last operand) of
            each result, but for members.
        by_xla: `by_xla(*operands, **params)` computes it by JAX's operations.
        by_kernel: the same by the native kernels.

    """
    p = Primitive(name)
    p.multiple_results = True

    def abstract(*operands: Any, backend: str, **params: Any) -> list[Any]:
        members = max(a.shape[0] for a in operands[indices:])
        like = operands[-1]
        return [
            like.update(shape=(members, *shape), dtype=like.dtype if dtype is None else jnp.dtype(dtype))
            for shape, dtype in shapes(*operands, **params)
        ]

    def elsewhere(*operands: Any, backend: str, **params: Any) -> Any:
        if backend == "native":
            raise UsageError("backend 'native' computes on CPU only; use 'auto'")
        return by_xla(*operands, **params)

    def on_cpu(*operands: Any, backend: str, **params: Any) -> Any:
        fits = operands[-1].dtype.name in DTYPES and not missing()
        if backend == "native" and not fits:
            raise UsageError(f"backend 'native' computes float32 and float64, got {operands[-1].dtype}")
        return (by_kernel if backend != "xla" and fits else by_xla)(*operands, **params)

    @functools.cache
    def compiled(**params: Any) -> Any:
        return jax.jit(functools.partial(p.bind, **params))

    p.def_impl(lambda *operands, **params: compiled(**params)(*operands))
    p.def_abstract_eval(abstract)
    batching.primitive_batchers[p] = functools.partial(_batch, p, indices)
    mlir.register_lowering(p, mlir.lower_fun(elsewhere, multiple_results=True))
    mlir.register_lowering(p, mlir.lower_fun(on_cpu, multiple_results=True), platform="cpu")
    return p


def tie(*operands: jax.Array) -> list[jax.Array]:
    """Return the operands as they are; in `shard_map`, all varying over the mesh where one of them does.

    For its gradient to be summed over the mesh, an operand that all devices share has to be told so. Sums of
    no entries tell it, and compute nothing.
    """
    if AxisType.Manual not in jax.sharding.get_abstract_mesh().axis_types:
        return list(operands)
    nothing = [jnp.sum(a.ravel()[:0]) for a in operands]
    return [a + sum(n.astype(a.dtype) for n in nothing) for a in operands]


def _batch(p: Primitive, indices: int, operands: Any, dims: Any, **params: Any) -> Any:
    size = next(a.shape[d] for a, d in zip(operands, dims) if d is not None)
    operands = [a if d is None else jnp.moveaxis(a, d, 0) for a, d in zip(operands, dims)]
    mapped = [d is not None for d in dims]
    if any(mapped[:indices]):  # graphs that differ: one after the other

        def one(own: Any) -> Any:
            rest = iter(own)
            return p.bind(*(next(rest) if m else a for a, m in zip(operands, mapped)), **params)

        results = jax.lax.map(one, [a for a, m in zip(operands, mapped) if m])
        return results, [0] * len(results)
    members = max(a.shape[m] for a, m in list(zip(operands, mapped))[indices:])
    folded = operands[:indices]
    for a, m in list(zip(operands, mapped))[indices:]:
        if m or a.shape[0] > 1:  # not one member for all
            own = a.shape[1 + m :]
            a = jnp.broadcast_to(a if m else a[None], (size, members, *own)).reshape(size * members, *own)
        folded.append(a)
    results = p.bind(*folded, **params)
    return [r.reshape(size, members, *r.shape[1:]) for r in results], [0] * len(results)
