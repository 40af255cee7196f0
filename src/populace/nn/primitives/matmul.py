"""The product of many rows with one weight matrix, with an efficient layout under `vmap` and differentiation.

`x @ W` under `vmap` keeps the batch axis in front, and its gradient puts the cotangent first, `ct^T x`. In
recurrent networks each costs a transposed copy of the largest array. Here a batch axis follows the other row
axes, where a loop over time needs it; all rows form one product, and the gradient of W is `x^T ct`.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

_product_p = Primitive("product")


def product(x: jax.Array, W: jax.Array) -> jax.Array:
    """Return x W for x (..., F) and W (F, G): (..., G), as `x @ W` does. O(N F G) for N rows."""
    dtype = jnp.result_type(x, W)
    x, W = x.astype(dtype), W.astype(dtype)
    return x @ W if placed(x) or placed(W) else _product_p.bind(x, W)


def placed(a: jax.Array) -> bool:
    """Return whether the type states a sharding over devices, which only JAX's own product propagates."""
    kind: Any = jax.typeof(a)
    manual = getattr(kind, "manual_axis_type", None)
    return manual is None or bool(manual.varying) or any(s is not None for s in kind.sharding.spec)


def _multiply(x: jax.Array, W: jax.Array) -> jax.Array:
    rows = x.reshape(-1, x.shape[-1]) @ W
    return rows.reshape(*x.shape[:-1], W.shape[-1])


def _by_x(ct: jax.Array, x: Any, W: jax.Array) -> jax.Array:
    return product(ct, W.T)


def _by_W(ct: jax.Array, x: jax.Array, W: Any) -> jax.Array:  # noqa: N802
    return x.reshape(-1, x.shape[-1]).T @ ct.reshape(-1, ct.shape[-1])


def _batch(arguments: Any, axes: Any) -> tuple[jax.Array, int]:
    (x, W), (x_axis, W_axis) = arguments, axes
    if W_axis is None:
        return product(jnp.moveaxis(x, x_axis, -2), W), x.ndim - 2
    return jax.vmap(_multiply, axes)(x, W), 0


_product_p.def_impl(jax.jit(_multiply))
_product_p.def_abstract_eval(lambda x, W: x.update(shape=(*x.shape[:-1], W.shape[-1])))
mlir.register_lowering(_product_p, mlir.lower_fun(_multiply, multiple_results=False))
batching.primitive_batchers[_product_p] = _batch
ad.defbilinear(_product_p, _by_x, _by_W)
