"""Directed edges of a graph, sorted once for the forward and the backward pass.

An edge carries a message from its source to its target. Edges are stored by target (compressed sparse rows,
CSR): the messages into a target are contiguous, and are added in a fixed order, without atomics. Gradients
flow from targets to sources and need the edges sorted by source: `back` holds that order.

The adjacency matrix, with a row for each target, a column for each source and an entry for each edge, need
not be square: a sparse bag of words is stored as edges from words to documents.
"""

from collections.abc import Callable
from typing import Any, Self

import equinox as eqx
import numpy as np

from populace.core.errors import UsageError

MOST_NODES = 2**31 - 1
"""Most nodes that int32 indices and offsets can address."""


class Rows(eqx.Module):
    """Edges as compressed sparse rows: those of row `i` have indices `offsets[i]` to `offsets[i + 1] - 1`.

    Attributes:
        offsets: (rows + 1,) int32.
        columns: (E,) int32, the node at the other end of each edge.
        order: (E,) int32, index of each edge in the numbering of the `EdgeIndex`; None if it is the same.

    """

    offsets: Any
    columns: Any
    order: Any


class EdgeIndex(eqx.Module):
    """Directed edges from `size[1]` sources to `size[0]` targets, numbered by target, then source.

    Everything stored per edge (a weight, an attention score) is an array of E entries in this order. Build
    one with [`of`][populace.nn.graph.edges.EdgeIndex.of]; arrays stay in NumPy until a program uses them.

    Attributes:
        sources: (E,) int32.
        targets: (E,) int32, in ascending order.
        rows: the incoming edges of each target.
        back: the outgoing edges of each source.

    """

    sources: Any
    targets: Any
    rows: Rows
    back: Rows

    @classmethod
    def of(cls, sources: Any, targets: Any, size: tuple[int, int]) -> tuple[Self, np.ndarray]:
        """Return the sorted edges, and the index that each of them had in the arrays given.

        Args:
            sources: (E,) integers below `size[1]`.
            targets: (E,) integers below `size[0]`.
            size: number of targets, number of sources.

        Raises:
            UsageError: arrays of different lengths, values that are not integers, or an index out of range;
                the message names the edge.

        """
        ends = [
            checked_ends(name, ids, count)
            for name, ids, count in (("source", sources, size[1]), ("target", targets, size[0]))
        ]
        if len(ends[0]) != len(ends[1]):
            raise UsageError(
                f"edges have {len(ends[0])} sources and {len(ends[1])} targets; give one of each"
            )
        places = np.lexsort((ends[0], ends[1]))
        source, target = (x[places] for x in ends)
        order = np.lexsort((target, source)).astype(np.int32)
        rows = Rows(_offsets(target, size[0]), source, None)
        back = Rows(_offsets(source[order], size[1]), target[order], order)
        return cls(source, target, rows, back), places

    @property
    def size(self) -> tuple[int, int]:
        """Number of targets, number of sources."""
        return len(self.rows.offsets) - 1, len(self.back.offsets) - 1

    @property
    def count(self) -> int:
        """Number of edges."""
        return len(self.sources)


def checked_ends(
    name: str, ids: Any, count: int, where: Callable[[int], str] = "of edge {}".format
) -> np.ndarray:
    """Return node indices as (E,) int32.

    Args:
        name: which end of the edge, `source` or `target`.
        ids: (E,) integers below `count`.
        count: number of nodes.
        where: describes the position of an invalid index in the error message.

    Raises:
        UsageError: an array of another shape, a value that is not an integer, or an index out of range.

    """
    values = as_array(f"{name}s of edges", ids)
    if values.ndim != 1:
        raise UsageError(f"{name}s of edges must have shape (E,), got {values.shape}")
    if values.size and not np.issubdtype(values.dtype, np.integer):
        whole = np.issubdtype(values.dtype, np.floating) and np.isfinite(values) & (values == np.rint(values))
        if not np.all(whole):
            bad = int(np.argmin(whole)) if np.ndim(whole) else 0
            got = values[bad : bad + 1].tolist()[0]
            raise UsageError(f"{name} {where(bad)} must be a whole number, got {got!r}")
    count = min(count, MOST_NODES)
    wrong = np.flatnonzero((values < 0) | (values >= count))
    if wrong.size:
        bad = int(wrong[0])
        raise UsageError(f"{name} {where(bad)} is {int(values[bad])}; nodes are numbered 0 to {count - 1}")
    return values.astype(np.int32)


def as_array(what: str, values: Any) -> np.ndarray:
    """Return values as an array; raise a `UsageError` if nested lists differ in length."""
    try:
        return np.asarray(values)
    except ValueError:
        raise UsageError(f"{what} are lists of different lengths; give each row as many numbers") from None


def _offsets(sorted_ids: np.ndarray, count: int) -> np.ndarray:
    return np.searchsorted(sorted_ids, np.arange(count + 1)).astype(np.int32)


def repeated(edges: EdgeIndex) -> np.ndarray:
    """Return (E,) bool: whether an edge has the same source and target as the one before it."""
    s, t = edges.sources, edges.targets
    return np.concatenate([[False], (s[1:] == s[:-1]) & (t[1:] == t[:-1])])[: len(s)]


def is_symmetric(edges: EdgeIndex, weight: Any = None) -> bool:
    """Return whether every edge has its reverse, with the same multiplicity and weight (up to rounding)."""
    back = edges.back
    # Sorted by source, with ends swapped, they must be the same edges.
    same = np.array_equal(edges.targets, edges.sources[back.order]) and np.array_equal(
        edges.sources, back.columns
    )
    if not same or weight is None:
        return same
    # Repeated edges are compared in the order of their weights: their own order carries no meaning.
    there = weight[np.lexsort((weight, edges.sources, edges.targets))]
    again = weight[np.lexsort((weight, edges.targets, edges.sources))]
    return np.allclose(there, again, rtol=1e-6, atol=0)
