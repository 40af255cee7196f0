"""Proportional prioritized replay: transitions with a large TD error are sampled more often.

Schaul et al. 2016, "Prioritized Experience Replay". A transition is sampled with probability
`P(i) = p_i^alpha / sum_k p_k^alpha`, where `p_i = |last TD error| + 1e-6`. Its loss is weighted by
`w_i = (N P(i))^-beta`, divided by the largest weight of the batch.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.rl.buffers.replay import Replay

_EPSILON = 1e-6  # keeps every transition's probability above 0
_COARSE = 2.0**-23  # steps of uniform numbers in float32
_ARITY = 16  # children of a node: few levels, and the children of a node are one row of memory


class SumTree(eqx.Module):
    """A tree of N non-negative masses, each inner node the sum of its 16 children, for proportional sampling.

    Setting or sampling k of N masses costs `O(16 k log_16 N)`. Rounding errors do not accumulate, because a
    node is always recomputed from its children.

    Attributes:
        levels: (rows, 16) arrays: the masses, padded with zeros, then their sums, up to a single row.

    """

    levels: tuple[jax.Array, ...]

    def __init__(self, length: int) -> None:
        """Make a tree of `length` masses, all 0."""
        levels = []
        while True:
            rows = -(-length // _ARITY)
            levels.append(jnp.zeros((rows, _ARITY)))
            if rows == 1:
                break
            length = rows
        self.levels = tuple(levels)

    def masses(self, index: jax.Array) -> jax.Array:
        """Return the masses at indices (k,)."""
        return self.levels[0].reshape(-1)[index]

    def set(self, index: jax.Array, mass: jax.Array) -> "SumTree":
        """Return the tree with the masses at indices (k,) set; equal indices must come with equal masses."""
        levels = []
        for level in self.levels:
            levels.append(level.at[index // _ARITY, index % _ARITY].set(mass, mode="promise_in_bounds"))
            index = index // _ARITY
            mass = levels[-1].at[index].get(mode="promise_in_bounds").sum(-1)
        return eqx.tree_at(lambda t: t.levels, self, tuple(levels))

    def sample(self, key: jax.Array, count: int) -> jax.Array:
        """Return indices (count,), one from each of `count` equal segments of the total mass (stratified).

        Indices with mass 0 are never sampled; if all masses are 0, every index is 0.
        """
        drawn, finer = jax.random.uniform(key, (2, count))
        share, total = (jnp.arange(count) + drawn) / count, self.levels[-1].sum()
        position = share * total
        index = jnp.zeros(count, jnp.int32)
        upto = jnp.triu(jnp.ones((_ARITY, _ARITY)))
        for depth, level in reversed(list(enumerate(self.levels))):
            if depth == 0:
                # Positions are multiples of 2^-23 of the total, too coarse for millions of masses: in their
                # last row of 16, where they are small, they get the digits that float32 had no room for.
                position = jnp.maximum(position + (finer - 0.5) * (_COARSE * total), 0.0)
            children = level.at[index].get(mode="promise_in_bounds")
            # A cumulative sum as a matrix product; "highest" keeps GPUs from rounding its factors.
            cumulative = jnp.matmul(children, upto, precision="highest")
            # The parent's sum may differ by rounding: stay below the last one, or a mass of 0 is sampled.
            position = jnp.minimum(position, cumulative[:, -1] * (1 - 1e-6))
            below = position[:, None] >= cumulative[:, :-1]
            before = jnp.max(jnp.where(below, cumulative[:, :-1], 0.0), axis=-1)
            step = jnp.sum(below, axis=-1, dtype=jnp.int32)
            position, index = position - before, index * _ARITY + step
        return jnp.where(total > 0, index, 0)


class PrioritizedReplay(eqx.Module):
    """A replay buffer with a priority per transition; functional: methods return the new buffer.

    Attributes:
        replay: the transitions.
        tree: `p^alpha` of each, 0 for slots that must not be sampled.
        largest: the largest `p^alpha` so far, given to new transitions; 1 at first.

    """

    replay: Replay
    tree: SumTree
    largest: jax.Array

    def __init__(self, example: Any, length: int, add_batch_size: int = 1) -> None:
        """Make an empty buffer; arguments as for [`Replay`][populace.rl.buffers.replay.Replay]."""
        self.replay = Replay(example, length, add_batch_size)
        self.tree = SumTree(self.replay.length)
        self.largest = jnp.float32(1)

    def add(
        self, transitions: Any, capacity: jax.Array | float, keep: jax.Array | bool = True
    ) -> "PrioritizedReplay":
        """Add transitions with the largest priority so far; only the last `capacity` can still be sampled.

        Args:
            transitions: leaves with a leading axis of `add_batch_size`.
            capacity: number of transitions to keep, at most `length`; the same at every call.
            keep: if false, nothing is added.

        """
        count, length = jax.tree.leaves(transitions)[0].shape[0], self.replay.length
        capacity = jnp.asarray(capacity).astype(jnp.int32)
        new = (self.replay.written + jnp.arange(count)) % length
        index = jnp.concatenate([new, (new - capacity) % length])  # the second half is too old now
        # Set by age, because the halves may overlap, and equal indices must get equal masses.
        age = (self.replay.written + count - 1 - index) % length
        mass = jnp.where(age < jnp.minimum(count, capacity), self.largest, 0.0)
        mass = jnp.where(keep, mass, self.tree.masses(index))
        made = self.replay.add(transitions, keep), self.tree.set(index, mass)
        return eqx.tree_at(lambda r: (r.replay, r.tree), self, made)

    def sample(
        self, key: jax.Array, batch_size: int, beta: jax.Array | float
    ) -> tuple[Any, jax.Array, jax.Array]:
        """Sample transitions with probability proportional to `p^alpha`.

        Args:
            key: JAX random key.
            batch_size: number of transitions.
            beta: importance-sampling exponent, 0 (no correction) to 1 (full correction).

        Returns:
            a transition whose leaves have a leading axis of `batch_size`, arbitrary while the buffer is
            empty; their indices (batch_size,); and their weights (batch_size,) in (0, 1], the largest 1.

        """
        index = self.tree.sample(key, batch_size)
        mass = self.tree.masses(index)
        # N and the sum of all masses cancel in w_i / max_j w_j.
        weight = (mass / jnp.min(mass)) ** -beta
        return self.replay.read(index), index, jnp.where(mass > 0, weight, 1.0)

    def update(
        self, index: jax.Array, td_error: jax.Array, alpha: jax.Array | float, keep: jax.Array | bool = True
    ) -> "PrioritizedReplay":
        """Set `p^alpha` of the transitions at indices (k,) to `(|td_error| + 1e-6)^alpha`."""
        mass = (jnp.abs(td_error) + _EPSILON) ** alpha
        mass = jnp.where(keep, mass, self.tree.masses(index))
        largest = jnp.maximum(self.largest, jnp.max(mass))
        return eqx.tree_at(lambda r: (r.tree, r.largest), self, (self.tree.set(index, mass), largest))
