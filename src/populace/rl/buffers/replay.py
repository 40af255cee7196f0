"""Uniform experience replay: a circular buffer of transitions (Lin 1992; Mnih et al. 2015).

The storage is as long as the largest buffer of the population; a member that uses less of it
samples only from its most recent `capacity` transitions. That is a circular buffer of that
capacity, and it lets the capacity differ between the members of one program.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from populace.core.errors import UsageError
from populace.rl.task import Task


class Replay(eqx.Module):
    """Transitions as rows; a functional buffer, every method returns the new one.

    The leaves of a transition lie side by side in one row per element size (bit for bit, whatever
    their type), so that drawing a batch is one gather and not one per leaf.

    Attributes:
        rows: element size in bits to (length, width) unsigned integers.
        written: transitions added so far.

    """

    rows: dict[str, jax.Array]
    written: jax.Array
    _layout: tuple[tuple[tuple[int, ...], str], ...] = eqx.field(static=True)
    _structure: Any = eqx.field(static=True)

    def __init__(self, example: Any, length: int, together: int = 1) -> None:
        """Make an empty buffer.

        Args:
            example: one transition, arrays or shapes, to take the layout from.
            length: transitions it can hold.
            together: how many are added at a time; the length is rounded up to a multiple, so
                that one addition never wraps around the end.

        """
        leaves, self._structure = jax.tree.flatten(example)
        self._layout = tuple((tuple(x.shape), jnp.dtype(x.dtype).name) for x in leaves)
        length = -(-length // together) * together
        widths: dict[str, int] = {}
        for shape, dtype in self._layout:
            widths[_bits(dtype)] = widths.get(_bits(dtype), 0) + int(np.prod(shape))
        self.rows = {b: jnp.zeros((length, w), f"uint{b}") for b, w in sorted(widths.items())}
        self.written = jnp.int32(0)

    @property
    def length(self) -> int:
        """Transitions it can hold."""
        return next(iter(self.rows.values())).shape[0]

    def add(self, transitions: Any, keep: jax.Array | bool = True) -> "Replay":
        """Add transitions, the leaves with the same leading axis of `together`.

        Where `keep` is false nothing is added; that may be only while the buffer is not yet full.
        """
        columns: dict[str, list[jax.Array]] = {}
        for x, (_, dtype) in zip(jax.tree.leaves(transitions), self._layout):
            flat = _to_bits(x.astype(dtype)).reshape(x.shape[0], -1)
            columns.setdefault(_bits(dtype), []).append(flat)
        rows = {}
        for bits, stored in self.rows.items():
            block = jnp.concatenate(columns[bits], axis=-1)
            start = self.written % stored.shape[0]
            updated = lax.dynamic_update_slice_in_dim(stored, block, start, axis=0)
            # Fused with the gather that draws from it, the update would need a copy of the whole.
            rows[bits] = lax.optimization_barrier(updated)
        # What is not kept lies behind the newest, where the next addition overwrites it.
        count = jnp.where(keep, jax.tree.leaves(transitions)[0].shape[0], 0)
        return eqx.tree_at(lambda r: (r.rows, r.written), self, (rows, self.written + count))

    def sample(self, key: jax.Array, batch: int, capacity: jax.Array | float) -> Any:
        """Draw transitions evenly, with replacement, from the last `capacity` added.

        Returns:
            a transition whose leaves have a leading axis of `batch`; arbitrary if nothing was
            added yet.

        """
        size = jnp.minimum(self.written, jnp.asarray(capacity).astype(jnp.int32))
        age = (jax.random.uniform(key, (batch,)) * size).astype(jnp.int32)
        age = jnp.clip(age, 0, jnp.maximum(size - 1, 0))
        return self.read((self.written - 1 - age) % self.length)

    def read(self, index: jax.Array) -> Any:
        """Return the transitions at places (k,) of the buffer, leaves with a leading axis of k."""
        drawn = {b: x[index] for b, x in self.rows.items()}
        leaves, at = [], dict.fromkeys(drawn, 0)
        for shape, dtype in self._layout:
            bits, width = _bits(dtype), int(np.prod(shape))
            block = drawn[bits][:, at[bits] : at[bits] + width]
            at[bits] += width
            leaves.append(_from_bits(block, dtype).reshape(*index.shape, *shape))
        return self._structure.unflatten(leaves)


def fits_bytes(task: Task) -> None:
    """Raise a `UsageError` unless a byte holds what is observed: whole numbers from 0 to 255.

    Where the type does not say that they are whole, the first observations of a few episodes do.
    """
    low, high = task.observation_low.min(), task.observation_high.max()
    if low < 0 or high > 255:
        raise UsageError(
            f"uint8_obs needs observations from 0 to 255; those of environment '{task.name}' lie in "
            f"[{low:g}, {high:g}]; leave uint8_obs out"
        )
    if task.observation_dtype.kind != "f":
        return
    if task.origin == "host":
        raise UsageError(
            f"uint8_obs needs observations of an integer type; those of environment '{task.name}' are "
            f"{task.observation_dtype}; leave uint8_obs out, or make them uint8"
        )
    seen = np.ravel(task.reset(jax.random.key(0), 4)[0])
    broken = seen[seen != np.round(seen)]
    if broken.size:
        raise UsageError(
            f"uint8_obs needs observations that are whole numbers; environment '{task.name}' shows "
            f"{broken[0]:g}; leave uint8_obs out"
        )


def _bits(dtype: str) -> str:
    return str(8 * jnp.dtype(dtype).itemsize)


def _to_bits(x: jax.Array) -> jax.Array:
    if x.dtype == jnp.bool:
        return x.astype(jnp.uint8)
    return lax.bitcast_convert_type(x, f"uint{_bits(x.dtype.name)}")


def _from_bits(x: jax.Array, dtype: str) -> jax.Array:
    return x.astype(jnp.bool) if dtype == "bool" else lax.bitcast_convert_type(x, dtype)
