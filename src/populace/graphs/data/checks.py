"""Checks of the number of nodes, of edge weights and of reverse edges, before a graph is built."""

from collections.abc import Callable
from typing import Any

import numpy as np

from populace.core.errors import UsageError
from populace.core.values import to_float32
from populace.graphs.data.labels import numbers
from populace.nn.graph.edges import EdgeIndex, as_array, is_symmetric

_FEW_NODES, _NODES_PER_EDGE = 1_000_000, 100  # nodes without edges are rare; a slip of the pen is not
_MOST_NODES = 2**31 - 1


def count_nodes(nodes: int | None, x: Any, y: Any, *ends: Any) -> int:
    """Return the number of nodes: as given, else rows of the features or labels, else largest index + 1."""
    if nodes is not None:
        return nodes
    for what, part in (("features", x), ("labels", y)):
        if part is not None:
            shape = tuple(part.shape if hasattr(part, "shape") else numbers(what, part).shape)
            if not shape:
                raise UsageError(f"{what} have shape (), expected a row for each node")
            return int(shape[0])
    found = [a[np.isfinite(a)] for a in (as_array("ends of edges", e) for e in ends) if a.dtype.kind in "iuf"]
    count = max((int(a.max()) + 1 for a in found if a.size), default=0)
    if count > _MOST_NODES:
        return _MOST_NODES  # whoever checks the ends names the edge, and its line
    if count > (most := _FEW_NODES + _NODES_PER_EDGE * sum(a.size for a in found)):
        raise UsageError(
            f"an edge names node {count - 1:,}, where so few edges are taken for at most {most:,} nodes; "
            f"number the nodes from 0, or give nodes={count}"
        )
    return count


def checked_weights(
    weight: Any, count: int, each: str = "edge", where: Callable[[int], str] = "of edge {}".format
) -> np.ndarray | None:
    """Return weights (count,) as float32, or None.

    Args:
        weight: the weights given, or None.
        count: number of weights expected.
        each: name of what has a weight, for the error message.
        where: describes the position of an invalid weight in the error message.

    Raises:
        UsageError: weights of another shape, not numeric, or not finite.

    """
    if weight is None:
        return None
    values = numbers("weights", weight)
    if values.shape != (count,):
        raise UsageError(f"weights have shape {values.shape}, expected ({count},), one for each {each}")
    kept = to_float32(values)
    wrong = np.flatnonzero(~np.isfinite(kept))
    if wrong.size:
        raise UsageError(
            f"weight {where(int(wrong[0]))} is {values[wrong[0]]}; weights must be finite in float32"
        )
    return kept


def check_same_weight(edges: EdgeIndex, weight: Any) -> None:
    """Raise a `UsageError` for an edge whose reverse has another weight: an undirected edge has one."""
    if weight is None or is_symmetric(edges, weight) or not is_symmetric(edges):
        return
    order = np.lexsort((weight, edges.sources, edges.targets))
    back = np.lexsort((weight, edges.targets, edges.sources))
    wrong = int(np.argmax(~np.isclose(weight[order], weight[back], rtol=1e-6, atol=0)))
    s, t = int(edges.sources[order[wrong]]), int(edges.targets[order[wrong]])
    raise UsageError(
        f"the edge from {s} to {t} has weight {weight[order[wrong]]:g}, its reverse {weight[back[wrong]]:g}; "
        "an undirected edge has one weight: pass directed=True, or make them equal"
    )


def check_reverse(edges: EdgeIndex, places: np.ndarray) -> None:
    """Raise a `UsageError` for an edge without its reverse."""
    if is_symmetric(edges):
        return
    pairs = list(zip(edges.sources.tolist(), edges.targets.tolist()))
    known = set(pairs)
    alone = next((i for i, (s, t) in enumerate(pairs) if (t, s) not in known), None)
    if alone is not None:
        raise UsageError(
            f"edge {places[alone]} ({pairs[alone][0]} to {pairs[alone][1]}) has no reverse; "
            "an undirected graph stores each edge in both directions: add the reverse, or pass directed=True"
        )
