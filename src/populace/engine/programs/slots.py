"""Slots: entries of single members in arrays that have all of a group, taken out and put in."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from populace.engine.hosts import fetch
from populace.engine.placement import Placement


def take(stacked: Any, slot: int) -> Any:
    """Return a copy of one slot's entry, by way of the host: nothing is compiled for it."""
    return jax.tree.map(lambda x: _entry(x, slot), stacked)


def put(stacked: Any, slot: int, entry: Any, placement: Placement) -> Any:
    """Return `stacked` with an entry in a slot; the old one is consumed."""
    return _put(placement)(stacked, np.int32(slot), entry)


def take_many(stacked: Any, chosen: list[int]) -> dict[int, Any]:
    """Return copies of many slots' entries, as `take` does, with one look at each array."""
    leaves, structure = jax.tree.flatten(stacked)
    columns = [x if _is_key(x) else fetch(x)[chosen] for x in leaves]
    return {
        slot: structure.unflatten([c[slot] if _is_key(c) else c[row] for c in columns])
        for row, slot in enumerate(chosen)
    }


def put_many(stacked: Any, entries: dict[int, Any], placement: Placement) -> Any:
    """Return `stacked` with entries in many slots, as `put` does, with one copy of each array."""
    chosen = np.fromiter(entries, int)
    leaves, structure = jax.tree.flatten(stacked)
    rows = zip(*(jax.tree.leaves(entry) for entry in entries.values()))

    def mended(x: jax.Array, new: tuple[Any, ...]) -> Any:
        if _is_key(x):
            return x.at[chosen].set(jnp.stack(new))
        whole = fetch(x)  # a copy
        whole[chosen] = np.stack(new)
        return whole

    columns = [jax.device_put(mended(*pair), placement.by_member) for pair in zip(leaves, rows)]
    return structure.unflatten(columns)


def rows(stacked: Any, chosen: np.ndarray, placement: Placement) -> Any:
    """Return the entries of some slots, stacked, on the devices of a placement."""

    def of(x: jax.Array) -> jax.Array:
        return jax.device_put(x[chosen] if _is_key(x) else fetch(x)[chosen], placement.by_member)

    return jax.tree.map(of, stacked)


def _is_key(x: Any) -> bool:
    return jnp.issubdtype(x.dtype, jax.dtypes.prng_key)


def _entry(stacked: jax.Array, slot: int) -> Any:
    """Return a copy of one entry, from the device that holds it."""
    if _is_key(stacked):
        return stacked[slot]
    for shard in stacked.addressable_shards if stacked.is_fully_addressable else ():
        first = shard.index[0].start or 0
        if first <= slot < first + shard.data.shape[0]:
            return jnp.asarray(np.array(np.asarray(shard.data)[slot - first]))
    return jnp.asarray(fetch(stacked)[slot])  # on another host, perhaps


@lru_cache(maxsize=8)
def _put(placement: Placement) -> Callable[[Any, Any, Any], Any]:
    def put(tree: Any, slot: jax.Array, entry: Any) -> Any:
        return jax.tree.map(lambda x, e: x.at[slot].set(e), tree, entry)

    return jax.jit(put, donate_argnums=0, out_shardings=placement.by_member)
