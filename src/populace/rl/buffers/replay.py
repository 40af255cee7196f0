"""Uniform experience replay: a circular buffer of transitions (Lin 1992; Mnih et al. 2015).

The storage is as long as the largest buffer of the population, and each member samples only from its most
recent `capacity` transitions. That is equivalent to a circular buffer of that capacity, and lets the capacity
differ between the members of one program.
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
    """A replay buffer that stores transitions as rows; functional: methods return the new buffer.

    Leaves of equal element size are stored bit for bit in one row, whatever their type, so that sampling a
    batch is one gather per element size instead of one per leaf.

    Attributes:
        rows: unsigned integers (length, width) by element size in bits.
        written: number of transitions added so far.

    """

    rows: dict[str, jax.Array]
    written: jax.Array
    _layout: tuple[tuple[tuple[int, ...], str], ...] = eqx.field(static=True)
    _structure: Any = eqx.field(static=True)

    def __init__(self, example: Any, length: int, add_batch_size: int = 1) -> None:
        """Make an empty buffer.

        Args:
            example: one transition (arrays or shapes) that gives the layout.
            length: number of transitions that fit.
            add_batch_size: number of transitions per call of `add`; the length is rounded up to a multiple
                of it, so that no call wraps around the end.

        """
        leaves, self._structure = jax.tree.flatten(example)
        self._layout = tuple((tuple(x.shape), jnp.dtype(x.dtype).name) for x in leaves)
        length = -(-length // add_batch_size) * add_batch_size
        widths: dict[str, int] = {}
        for shape, dtype in self._layout:
            widths[_bits(dtype)] = widths.get(_bits(dtype), 0) + int(np.prod(shape))
        self.rows = {b: jnp.zeros((length, w), f"uint{b}") for b, w in sorted(widths.items())}
        self.written = jnp.int32(0)

    @property
    def length(self) -> int:
        """Number of transitions that fit."""
        return next(iter(self.rows.values())).shape[0]

    def add(self, transitions: Any, keep: jax.Array | bool = True) -> "Replay":
        """Add transitions, leaves with a leading axis of `add_batch_size`.

        If `keep` is false, nothing is added; it may be false only while the buffer is not yet full.
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
            # Without the barrier XLA fuses the update with the gather that samples, and copies the buffer.
            rows[bits] = lax.optimization_barrier(updated)
        # Rows that are not kept lie after the newest transition, where the next call overwrites them.
        count = jnp.where(keep, jax.tree.leaves(transitions)[0].shape[0], 0)
        return eqx.tree_at(lambda r: (r.rows, r.written), self, (rows, self.written + count))

    def sample(self, key: jax.Array, batch_size: int, capacity: jax.Array | float) -> Any:
        """Sample uniformly, with replacement, from the last `capacity` transitions added.

        Returns:
            a transition whose leaves have a leading axis of `batch_size`; arbitrary while the buffer is
            empty.

        """
        size = jnp.minimum(self.written, jnp.asarray(capacity).astype(jnp.int32))
        # Integers: a uniform float has 2^23 values, which would leave out transitions of a large buffer.
        age = jax.random.randint(key, (batch_size,), 0, jnp.maximum(size, 1))
        return self.read((self.written - 1 - age) % self.length)

    def sample_sequences(self, key: jax.Array, count: int, steps: int, num_envs: int) -> Any:
        """Sample `count` sequences of `steps` transitions that followed each other in one environment.

        Args:
            key: JAX random key.
            count: number of sequences.
            steps: transitions of each.
            num_envs: number of environments, one transition of each per call of `add`.

        Returns:
            a transition whose leaves have a leading axis of steps * count, the first steps of all sequences
            before their second ones; arbitrary before so many steps were added.

        """
        start_key, env_key = jax.random.split(key)
        added = self.written // num_envs
        stored = jnp.minimum(added, self.length // num_envs)
        start = jax.random.randint(start_key, (count,), 0, jnp.maximum(stored - steps + 1, 1))
        env = jax.random.randint(env_key, (count,), 0, num_envs)
        step = added - stored + start + jnp.arange(steps)[:, None]
        return self.read((step * num_envs + env).reshape(-1) % self.length)

    def read(self, index: jax.Array) -> Any:
        """Return the transitions at indices (k,) of the buffer, leaves with a leading axis of k."""
        drawn = {b: x[index] for b, x in self.rows.items()}
        leaves, at = [], dict.fromkeys(drawn, 0)
        for shape, dtype in self._layout:
            bits, width = _bits(dtype), int(np.prod(shape))
            block = drawn[bits][:, at[bits] : at[bits] + width]
            at[bits] += width
            leaves.append(_from_bits(block, dtype).reshape(*index.shape, *shape))
        return self._structure.unflatten(leaves)


def check_uint8(task: Task) -> None:
    """Raise a `UsageError` unless observations fit in a byte: integers from 0 to 255.

    If the data type is a float, the first observations of a few episodes are checked.
    """
    low, high = task.observation_low.min(), task.observation_high.max()
    if low < 0 or high > 255:
        raise UsageError(
            f"uint8_obs needs observations from 0 to 255; those of environment '{task.name}' range from "
            f"{low:g} to {high:g}; set uint8_obs to false"
        )
    if task.observation_dtype.kind != "f":
        return
    if task.origin == "host":
        raise UsageError(
            f"uint8_obs needs observations of an integer type; those of environment '{task.name}' are "
            f"{task.observation_dtype}; set uint8_obs to false, or make the observations uint8"
        )
    obs = np.ravel(task.reset(jax.random.key(0), 4)[0])
    fractional = obs[obs != np.round(obs)]
    if fractional.size:
        raise UsageError(
            f"uint8_obs needs integer observations; environment '{task.name}' has an observation with "
            f"{fractional[0]:g}; set uint8_obs to false"
        )


def _bits(dtype: str) -> str:
    return str(8 * jnp.dtype(dtype).itemsize)


def _to_bits(x: jax.Array) -> jax.Array:
    if x.dtype == jnp.bool:
        return x.astype(jnp.uint8)
    return lax.bitcast_convert_type(x, f"uint{_bits(x.dtype.name)}")


def _from_bits(x: jax.Array, dtype: str) -> jax.Array:
    return x.astype(jnp.bool) if dtype == "bool" else lax.bitcast_convert_type(x, dtype)
