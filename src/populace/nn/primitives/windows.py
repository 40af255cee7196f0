"""Windows of series: histories and what follows them, cut out of one array where they begin.

    history[i, k] = values[begins[i] + k] - level[i]
    target[i, k] = values[begins[i] + window + k] - level[i]

with the level 0, or the last observation of the history. On CPU a native kernel copies them
(`native/windows.cc`), which takes a quarter of the time that XLA's gather, and what subtracts the level, do.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from populace.nn.primitives.member_axis import primitive


def cut(
    values: jax.Array, begins: jax.Array, window: int, horizon: int, *, less_last: bool
) -> tuple[jax.Array, jax.Array]:
    """Return histories (B, window) and targets (B, horizon). O(B (window + horizon)).

    Args:
        values: (total,) observations.
        begins: (B,) int32, where windows begin; a window that would end behind the values begins earlier.
        window: steps of a history.
        horizon: steps of a target.
        less_last: subtract the last observation of its history from each.

    """
    sizes = {"window": window, "horizon": horizon, "less_last": less_last}
    history, target = windows_p.bind(values, begins[None], backend="auto", **sizes)
    return history[0], target[0].reshape(-1, horizon)


def _shapes(values: Any, begins: Any, *, window: int, horizon: int, less_last: bool) -> list[Any]:
    # Targets in one row: XLA takes twice as long for rows as short as a horizon, and what is computed
    # from them in one row then begins with no change of shape, which XLA would move behind it.
    count = begins.shape[1]
    return [((count, window), values.dtype), ((count * horizon,), values.dtype)]


def _by_xla(
    values: jax.Array, begins: jax.Array, *, window: int, horizon: int, less_last: bool
) -> list[jax.Array]:
    length = window + horizon  # slices are read in a fifth less time than single observations

    def one(begin: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(values, (begin,), (length,))

    taken = jax.vmap(jax.vmap(one))(begins)
    level = taken[..., window - 1 : window] if less_last else jnp.zeros((), values.dtype)
    target = taken[..., window:] - level
    return [taken[..., :window] - level, target.reshape(len(begins), -1)]


def _by_kernel(values: jax.Array, begins: jax.Array, **params: Any) -> list[jax.Array]:
    results = [
        jax.ShapeDtypeStruct((len(begins), *shape), dtype)
        for shape, dtype in _shapes(values, begins, **params)
    ]
    call = jax.ffi.ffi_call("populace_windows", results)
    horizon, less_last = np.int64(params["horizon"]), params["less_last"]
    return list(call(values, begins, horizon=horizon, less_last=less_last))


windows_p = primitive("windows", 1, _shapes, _by_xla, _by_kernel)
