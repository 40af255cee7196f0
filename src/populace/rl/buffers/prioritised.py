"""Proportional prioritised replay: surprising transitions are drawn more often.

Schaul et al. 2016, "Prioritized Experience Replay". A transition is drawn with probability
`P(i) = p_i^alpha / sum_k p_k^alpha`, where `p_i = |its last temporal difference| + 1e-6`, and weighs
`w_i = (N P(i))^-beta`, divided by the largest of its batch, in the loss.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.rl.buffers.replay import Replay

_FLOOR = 1e-6  # so that no transition is lost for ever
_FAN = 16  # children of a node of the tree: few levels, and a family is one row of memory


class SumTree(eqx.Module):
    """Non-negative masses, drawn from in proportion: a tree of which every node is the sum of its children.

    Setting or drawing k masses of N costs `O(16 k log_16 N)`, and no sum drifts: a node is always added up
    anew from its children.

    Attributes:
        levels: masses first, then their sums 16 by 16, and so on up to one family; zeros fill it up.

    """

    levels: tuple[jax.Array, ...]

    def __init__(self, length: int) -> None:
        """Make a tree of so many masses, all 0."""
        levels = []
        while True:
            rows = -(-length // _FAN)
            levels.append(jnp.zeros((rows, _FAN)))
            if rows == 1:
                break
            length = rows
        self.levels = tuple(levels)

    def masses(self, index: jax.Array) -> jax.Array:
        """Return the masses at places (k,)."""
        return self.levels[0].reshape(-1)[index]

    def set(self, index: jax.Array, mass: jax.Array) -> "SumTree":
        """Set the masses at places (k,); where a place comes twice, both must be given the same mass."""
        levels = []
        for level in self.levels:
            levels.append(level.at[index // _FAN, index % _FAN].set(mass, mode="promise_in_bounds"))
            index = index // _FAN
            mass = levels[-1].at[index].get(mode="promise_in_bounds").sum(-1)
        return eqx.tree_at(lambda t: t.levels, self, tuple(levels))

    def draw(self, key: jax.Array, count: int) -> jax.Array:
        """Draw places, one from each of `count` equal shares of the total mass (stratified).

        Only places with a mass are drawn; without any, place 0.
        """
        share = (jnp.arange(count) + jax.random.uniform(key, (count,))) / count
        position = share * self.levels[-1].sum()
        index = jnp.zeros(count, jnp.int32)
        upto = jnp.triu(jnp.ones((_FAN, _FAN)))
        for level in reversed(self.levels):
            family = level.at[index].get(mode="promise_in_bounds")
            # A cumulative sum as a product, exact where the hardware would round its factors.
            cumulative = jnp.matmul(family, upto, precision="highest")
            # Sums of other order differ by rounding: stay below the last one, or an empty place is drawn.
            position = jnp.minimum(position, cumulative[:, -1] * (1 - 1e-6))
            below = position[:, None] >= cumulative[:, :-1]
            before = jnp.max(jnp.where(below, cumulative[:, :-1], 0.0), axis=-1)
            step = jnp.sum(below, axis=-1, dtype=jnp.int32)
            position, index = position - before, index * _FAN + step
        return jnp.where(self.levels[-1].sum() > 0, index, 0)


class PrioritisedReplay(eqx.Module):
    """A replay with a priority for each transition; a functional buffer, every method returns the new one.

    Attributes:
        replay: the transitions.
        tree: `p^alpha` of each, 0 where nothing may be drawn.
        largest: the largest `p^alpha` so far, which new transitions get; at first 1.

    """

    replay: Replay
    tree: SumTree
    largest: jax.Array

    def __init__(self, example: Any, length: int, together: int = 1) -> None:
        """Make an empty buffer; arguments as of [`Replay`][populace.rl.buffers.replay.Replay]."""
        self.replay = Replay(example, length, together)
        self.tree = SumTree(self.replay.length)
        self.largest = jnp.float32(1)

    def add(
        self, transitions: Any, capacity: jax.Array | float, keep: jax.Array | bool = True
    ) -> "PrioritisedReplay":
        """Add transitions, each with the largest priority; only the last `capacity` may still be drawn.

        Args:
            transitions: leaves with the same leading axis of `together`.
            capacity: how many are remembered, at most the length; the same at every call.
            keep: where false nothing is added.

        """
        count, length = jax.tree.leaves(transitions)[0].shape[0], self.replay.length
        capacity = jnp.asarray(capacity).astype(jnp.int32)
        new = (self.replay.written + jnp.arange(count)) % length
        index = jnp.concatenate([new, (new - capacity) % length])  # the others are now too old
        # By age, since the two may share places: a place that comes twice is given one mass.
        age = (self.replay.written + count - 1 - index) % length
        mass = jnp.where(age < jnp.minimum(count, capacity), self.largest, 0.0)
        mass = jnp.where(keep, mass, self.tree.masses(index))
        made = self.replay.add(transitions, keep), self.tree.set(index, mass)
        return eqx.tree_at(lambda r: (r.replay, r.tree), self, made)

    def sample(self, key: jax.Array, batch: int, beta: jax.Array | float) -> tuple[Any, jax.Array, jax.Array]:
        """Draw transitions in proportion to `p^alpha`.

        Args:
            key: randomness.
            batch: how many.
            beta: how far the weights undo the uneven drawing, 0 (not at all) to 1 (fully).

        Returns:
            a transition whose leaves have a leading axis of `batch`, arbitrary if nothing was added yet;
            the places they came from; and their weights in (0, 1], the largest of which is 1.

        """
        index = self.tree.draw(key, batch)
        mass = self.tree.masses(index)
        # N and the sum of all masses cancel in w_i / max_j w_j.
        weight = (mass / jnp.min(mass)) ** -beta
        return self.replay.read(index), index, jnp.where(mass > 0, weight, 1.0)

    def update(
        self, index: jax.Array, difference: jax.Array, alpha: jax.Array | float, keep: jax.Array | bool = True
    ) -> "PrioritisedReplay":
        """Set the priorities of the transitions at places (k,) to `(|difference| + 1e-6)^alpha`."""
        mass = (jnp.abs(difference) + _FLOOR) ** alpha
        mass = jnp.where(keep, mass, self.tree.masses(index))
        largest = jnp.maximum(self.largest, jnp.max(mass))
        return eqx.tree_at(lambda r: (r.tree, r.largest), self, (self.tree.set(index, mass), largest))
