"""Moves: gather the entries that each tap of a window reads, and the adjoint, scatter-add.

`pick` goes from the entries of an axis to the positions of a window, `put` from positions to entries:

    pick   y[i] = x[i stride + tap dilation - before]                        (0 where there is no entry)
    put    x[j] = sum_(i: i stride + tap dilation - before = j) y[i]         (one term at most)

One is the adjoint of the other. Both pad with zeros around (and between) the entries, then slice: indexed
gather and scatter operations are slow on CPU.
"""

import functools
import operator
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from populace.nn.conv.window import Window


class Move(NamedTuple):
    """A pick or a put along one axis, for every tap of a window.

    Attributes:
        padding: zeros before, after and between the entries, enough for all taps.
        starts: first padded entry that each tap reads.
        length: number of entries it reads.
        step: distance from one to the next.

    """

    padding: tuple[int, int, int]
    starts: tuple[int, ...]
    length: int
    step: int

    def pad(self, x: jax.Array, axis: int, value: Any = 0) -> jax.Array:
        """Return x padded along the axis, for all taps."""
        if not any(self.padding):
            return x
        # Padded first and cropped then: XLA's partitioner aborts on a pad with zeros between entries and
        # a negative side, where the axis is sharded over devices.
        before, behind, between = self.padding
        config = [(0, 0, 0)] * x.ndim
        config[axis] = (max(before, 0), max(behind, 0), between)
        padded = lax.pad(x, jnp.asarray(value, x.dtype), config)
        if before >= 0 and behind >= 0:
            return padded
        return lax.slice_in_dim(padded, max(-before, 0), padded.shape[axis] - max(-behind, 0), 1, axis)

    def take(self, padded: jax.Array, axis: int, tap: int) -> jax.Array:
        """Return the entries that one tap reads."""
        start = self.starts[tap]
        return lax.slice_in_dim(padded, start, start + (self.length - 1) * self.step + 1, self.step, axis)


def picks(window: Window, sizes: Sequence[int]) -> tuple[Move, ...]:
    """Return the moves from entries to positions, one per spatial axis."""
    moves = []
    for n, positions, k, s, d, (low, _) in _along(window, sizes):
        behind = (positions - 1) * s + (k - 1) * d + 1 - low - n
        moves.append(Move((low, behind, 0), tuple(tap * d for tap in range(k)), positions, s))
    return tuple(moves)


def puts(window: Window, sizes: Sequence[int]) -> tuple[Move, ...]:
    """Return the moves from positions to entries, one per spatial axis."""
    moves = []
    for n, positions, k, s, d, (low, _) in _along(window, sizes):
        padding = ((k - 1) * d - low, n - 1 + low - (positions - 1) * s, s - 1)
        moves.append(Move(padding, tuple((k - 1 - tap) * d for tap in range(k)), n, 1))
    return tuple(moves)


def gather(x: jax.Array, moves: Mapping[int, Move]) -> jax.Array:
    """Gather along axes, and concatenate what the taps read along the last axis, the first axis outermost."""
    for axis, move in sorted(moves.items(), reverse=True):
        padded = move.pad(x, axis)
        x = lax.concatenate([move.take(padded, axis, tap) for tap in range(len(move.starts))], x.ndim - 1)
    return x


def spread(z: jax.Array, moves: Mapping[int, Move]) -> jax.Array:
    """Split the last axis into one part per tap, the first axis outermost; move each part, and sum them."""
    for axis, move in sorted(moves.items()):
        taps = len(move.starts)
        parts = lax.split(z, [z.shape[-1] // taps] * taps, z.ndim - 1)
        moved = [move.take(move.pad(part, axis), axis, tap) for tap, part in enumerate(parts)]
        z = functools.reduce(operator.add, moved)
    return z


def _along(window: Window, sizes: Sequence[int]) -> Any:
    return zip(sizes, window.outputs(sizes), window.size, window.stride, window.dilation, window.pads(sizes))
