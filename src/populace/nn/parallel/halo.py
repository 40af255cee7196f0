"""Halo exchange: the input rows that each part of a decomposed convolution needs, and their owners."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from populace.core.errors import UsageError
from populace.nn.conv.window import Padding, Window

Range = tuple[int, int]
Ints = int | Sequence[int]


class Part(NamedTuple):
    """The share of one worker along the split axis; ranges are [start, stop), in rows.

    Attributes:
        outputs: outputs that it computes.
        reads: input rows that they need.
        padding: rows of zeros before and after those.
        owns: input rows that it holds before the exchange.

    """

    outputs: Range
    reads: Range
    padding: Range
    owns: Range

    @property
    def halo(self) -> Range:
        """Rows that it needs from others, before and after its own."""
        (start, stop), (first, last) = self.reads, self.owns
        return max(0, min(stop, first) - start), max(0, stop - max(start, last))

    @property
    def length(self) -> int:
        """Number of rows that it reads, padding included."""
        return sum(self.padding) + self.reads[1] - self.reads[0]


class Message(NamedTuple):
    """Rows sent over one distance: part p receives the input rows `needs[p]` from part p + distance."""

    distance: int
    needs: dict[int, Range]

    @property
    def rows(self) -> int:
        """Length of the longest."""
        return max(stop - start for start, stop in self.needs.values())


class Exchange(NamedTuple):
    """The volume that workers exchange before they compute.

    Attributes:
        halo: bytes of all halos, the minimum to exchange.
        sent: bytes that a mesh sends: messages over one distance are padded to the longest.
        messages: number of messages.
        distance: largest distance of a message, in workers.

    """

    halo: int
    sent: int
    messages: int
    distance: int


def decompose(
    sizes: Sequence[int], kernel: Ints, parts: int, *, axis: int = 0, stride: Ints = 1, dilation: Ints = 1,
    padding: Padding = "valid",
) -> tuple[Part, ...]:  # fmt: skip
    """Split one axis of the outputs of a convolution, and of its input, into parts.

    Output j reads the rows `j stride - low + dilation (0, ..., kernel - 1)`. So the outputs [a, b) read
    the rows [a stride - low, (b - 1) stride - low + dilation (kernel - 1) + 1); those outside the
    input are padding. Outputs and input rows are divided evenly; if they are not divisible, the first parts
    have one more.

    Args:
        sizes: spatial shape of the input.
        kernel: taps, for all axes or one number each.
        parts: number of workers.
        axis: spatial axis that is cut.
        stride: distance between output positions; one number, or one per axis.
        dilation: distance between the elements of the kernel; one number, or one per axis.
        padding: zeros around the input, as of [`Window.of`][populace.nn.conv.window.Window.of].

    Raises:
        UsageError: less than one part, more parts than outputs, no such axis, or a geometry that
            cannot be.

    """
    return cut(Window.of("decompose", len(sizes), kernel, stride, dilation, padding), sizes, parts, axis)


def cut(window: Window, sizes: Sequence[int], parts: int, axis: int) -> tuple[Part, ...]:
    """Like [`decompose`][populace.nn.decompose], for a given window."""
    if not 0 <= axis < len(sizes):
        raise UsageError(f"{window.layer}: axis must be in [0, {len(sizes) - 1}], got {axis}")
    outputs = window.outputs(sizes)[axis]
    if not isinstance(parts, int | np.integer) or not 1 <= parts <= outputs:
        raise UsageError(
            f"{window.layer}: got {parts} parts, expected 1 to {outputs}, the outputs along axis {axis}"
        )
    size, stride, span = sizes[axis], window.stride[axis], window.span[axis]
    low = window.pads(sizes)[axis][0]

    def part(outputs: Range, owns: Range) -> Part:
        first = outputs[0] * stride - low
        length = (outputs[1] - outputs[0] - 1) * stride + span
        start = min(max(first, 0), size)
        stop = max(start, min(first + length, size))
        before = min(max(start - first, 0), length)
        return Part(outputs, (start, stop), (before, length - before - (stop - start)), owns)

    return tuple(map(part, shares(outputs, parts), shares(size, parts)))


def exchange(
    shape: Sequence[int], kernel: Ints, parts: int, *, axis: int = 0, stride: Ints = 1, dilation: Ints = 1,
    padding: Padding = "valid", dtype: Any = jnp.float32,
) -> Exchange:  # fmt: skip
    """Return the volume exchanged for one input of shape (*spatial, channels).

    With stride 1 every boundary between two parts costs `dilation (kernel - 1)` rows, independent of the size
    of the input, as long as no part is shorter than that.

    Raises:
        UsageError: as in [`decompose`][populace.nn.decompose].

    """
    *sizes, channels = shape
    window = Window.of("exchange", len(sizes), kernel, stride, dilation, padding)
    found = cut(window, sizes, parts, axis)
    row = math.prod(sizes) // sizes[axis] * channels * jnp.dtype(dtype).itemsize
    away = [message for message in messages(found) if message.distance]
    return Exchange(
        halo=sum(sum(part.halo) for part in found) * row,
        sent=sum(message.rows * len(message.needs) for message in away) * row,
        messages=sum(len(message.needs) for message in away),
        distance=max((abs(message.distance) for message in away), default=0),
    )


def messages(parts: Sequence[Part]) -> list[Message]:
    """Return the rows that every part needs from every other, by distance; distance 0 is its own."""
    found: dict[int, dict[int, Range]] = {}
    for receiver, part in enumerate(parts):
        for sender, other in enumerate(parts):
            start, stop = max(part.reads[0], other.owns[0]), min(part.reads[1], other.owns[1])
            if start < stop:
                found.setdefault(sender - receiver, {})[receiver] = (start, stop)
    return [Message(distance, found[distance]) for distance in sorted(found)]


def shares(total: int, parts: int) -> list[Range]:
    """Return the ranges [start, stop) of consecutive shares; the first are one larger if necessary."""
    few, extra = divmod(total, parts)
    starts = [p * few + min(p, extra) for p in range(parts + 1)]
    return list(pairwise(starts))


def blocks(x: jax.Array, parts: int) -> jax.Array:
    """Return the shares of the rows of x concatenated, each padded to the longest."""
    few, extra = divmod(len(x), parts)
    if not extra:
        return x
    long = extra * (few + 1)
    short = x[long:].reshape(parts - extra, few, *x.shape[1:])
    short = jnp.pad(short, ((0, 0), (0, 1), *[(0, 0)] * (x.ndim - 1)))
    return jnp.concatenate([x[:long], short.reshape(-1, *x.shape[1:])])


def joined(x: jax.Array, total: int, parts: int) -> jax.Array:
    """Undo `blocks` for a total number of rows."""
    few, extra = divmod(total, parts)
    if not extra:
        return x
    long = extra * (few + 1)
    short = x[long:].reshape(parts - extra, few + 1, *x.shape[1:])[:, :few]
    return jnp.concatenate([x[:long], short.reshape(-1, *x.shape[1:])])


def receive(block: jax.Array, parts: Sequence[Part], over: str) -> jax.Array:
    """Return the rows that this device's part reads, padding included; inside `jax.shard_map`.

    All devices run one program, so the start of a message is looked up by the index of the device, and all
    messages over one distance have equal length: rows beyond those that a part needs are dropped.

    Args:
        block: the rows that it owns, as in `blocks`.
        parts: all parts, one per device along the axis `over` of the mesh.
        over: that axis.

    """
    here = lax.axis_index(over)
    sent = messages(parts)
    room = max((message.rows for message in sent), default=0)  # an out-of-range slice would be shifted
    length = max(part.length for part in parts)
    block = _longer(block, room)
    window = _longer(jnp.zeros((length, *block.shape[1:]), block.dtype), room)
    for message in sent:
        first, wanted, place = np.zeros((3, len(parts)), np.int32)
        for receiver, (start, stop) in message.needs.items():
            sender = receiver + message.distance
            first[sender] = start - parts[sender].owns[0]
            wanted[receiver] = stop - start
            place[receiver] = parts[receiver].padding[0] + start - parts[receiver].reads[0]
        piece = lax.dynamic_slice_in_dim(block, jnp.asarray(first)[here], message.rows)
        if message.distance:
            ways = [(receiver + message.distance, receiver) for receiver in message.needs]
            piece = lax.ppermute(piece, over, ways)
        begin = jnp.asarray(place)[here]
        piece = choose(jnp.arange(message.rows) < jnp.asarray(wanted)[here], piece, 0)
        piece += lax.dynamic_slice_in_dim(window, begin, message.rows)
        window = lax.dynamic_update_slice_in_dim(window, piece, begin, 0)
    return window[:length]


def choose(these: jax.Array, rows: Any, others: Any) -> jax.Array:
    """Return the rows where `these` is true, and others elsewhere."""
    return jnp.where(these.reshape(-1, *[1] * (rows.ndim - 1)), rows, others)


def _longer(x: jax.Array, rows: int) -> jax.Array:
    return jnp.pad(x, ((0, rows), *[(0, 0)] * (x.ndim - 1)))
