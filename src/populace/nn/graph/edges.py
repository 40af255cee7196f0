"""Arcs: who hears whom in a graph, sorted once, for forward and backward.

An arc carries something from its source to its target. Arcs lie target by target (compressed sparse rows),
so that what a target receives is one run of them and can be added up in a fixed order, without atomics.
The gradient flows the other way, from targets to sources, and needs the same of those: `back` is that order.

The matrix with a row for each target, a column for each source and an entry for each arc need not be square:
the sparse features of a bag of words are arcs from words to documents.
"""

from collections.abc import Callable
from typing import Any, Self

import equinox as eqx
import numpy as np

from populace.core.errors import UsageError

MOST_NODES = 2**31 - 1
"""As many as int32 can number, with their count."""


class Rows(eqx.Module):
    """Arcs as compressed rows: those of row `i` are at places `offsets[i]` to `offsets[i + 1] - 1`.

    Attributes:
        offsets: (rows + 1,) int32.
        columns: (E,) int32, the node at the other end of each arc.
        order: (E,) int32, where the arc in each place stands among the arcs as they are numbered;
            None if in the same place.

    """

    offsets: Any
    columns: Any
    order: Any


class Arcs(eqx.Module):
    """Arcs between `size[1]` sources and `size[0]` targets, numbered by target, then source.

    Whatever there is per arc (a weight, an attention score) is an array of E entries in this numbering. Make
    one with [`of`][populace.nn.graph.edges.Arcs.of]; arrays stay in NumPy until a program uses them.

    Attributes:
        sources: (E,) int32.
        targets: (E,) int32, never falling.
        rows: the arcs into each target.
        back: the arcs out of each source.

    """

    sources: Any
    targets: Any
    rows: Rows
    back: Rows

    @classmethod
    def of(cls, sources: Any, targets: Any, size: tuple[int, int]) -> tuple[Self, np.ndarray]:
        """Return the arcs, and at which place of the arrays given each of them was.

        Args:
            sources: (E,) whole numbers below `size[1]`.
            targets: (E,) whole numbers below `size[0]`.
            size: number of targets, number of sources.

        Raises:
            UsageError: the arrays do not fit together or are no whole numbers, or a number is out of range;
                says which arc.

        """
        ends = [
            checked_ends(name, ids, count)
            for name, ids, count in (("source", sources, size[1]), ("target", targets, size[0]))
        ]
        if len(ends[0]) != len(ends[1]):
            raise UsageError(f"arcs have {len(ends[0])} sources and {len(ends[1])} targets; give one of each")
        places = np.lexsort((ends[0], ends[1]))
        source, target = (x[places] for x in ends)
        order = np.lexsort((target, source)).astype(np.int32)
        rows = Rows(_offsets(target, size[0]), source, None)
        back = Rows(_offsets(source[order], size[1]), target[order], order)
        return cls(source, target, rows, back), places

    @property
    def size(self) -> tuple[int, int]:
        """Number of targets, and of sources."""
        return len(self.rows.offsets) - 1, len(self.back.offsets) - 1

    @property
    def count(self) -> int:
        """Number of arcs."""
        return len(self.sources)


def checked_ends(
    name: str, ids: Any, count: int, where: Callable[[int], str] = "of arc {}".format
) -> np.ndarray:
    """Return node numbers as (E,) int32; raise a `UsageError` for what is none.

    Args:
        name: which end it is, `source` or `target`.
        ids: (E,) whole numbers below `count`.
        count: number of nodes.
        where: what to call the place of a wrong number in the message.

    """
    values = plain(f"{name}s of arcs", ids)
    if values.ndim != 1:
        raise UsageError(f"{name}s of arcs must have shape (E,), got {values.shape}")
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


def plain(what: str, values: Any) -> np.ndarray:
    """Return values as an array; raise a `UsageError` where lists within them differ in length."""
    try:
        return np.asarray(values)
    except ValueError:
        raise UsageError(f"{what} are lists of different lengths; give each row as many numbers") from None


def _offsets(sorted_ids: np.ndarray, count: int) -> np.ndarray:
    return np.searchsorted(sorted_ids, np.arange(count + 1)).astype(np.int32)


def repeated(arcs: Arcs) -> np.ndarray:
    """Return for each arc whether the one before has the same ends, (E,) bool."""
    s, t = arcs.sources, arcs.targets
    return np.concatenate([[False], (s[1:] == s[:-1]) & (t[1:] == t[:-1])])[: len(s)]


def is_symmetric(arcs: Arcs, weight: Any = None) -> bool:
    """Return whether every arc has its reverse, as often as itself and of the same weight, to rounding."""
    back = arcs.back
    # Sorted the other way round, and with ends exchanged, they must be the same arcs.
    same = np.array_equal(arcs.targets, arcs.sources[back.order]) and np.array_equal(
        arcs.sources, back.columns
    )
    if not same or weight is None:
        return same
    # Repeated arcs are compared in the order of their weights: which of them came first says nothing.
    there = weight[np.lexsort((weight, arcs.sources, arcs.targets))]
    again = weight[np.lexsort((weight, arcs.targets, arcs.sources))]
    return np.allclose(there, again, rtol=1e-6, atol=0)
