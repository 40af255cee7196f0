"""Checks of the number of nodes and of edge weights, before a graph is built."""

from collections.abc import Callable
from typing import Any

import numpy as np

from populace.core.errors import UsageError
from populace.graphs.data.labels import numbers
from populace.nn.graph.edges import as_array


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
    return max((int(a.max()) + 1 for a in found if a.size), default=0)


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
    with np.errstate(over="ignore"):
        kept = values.astype(np.float32)
    wrong = np.flatnonzero(~np.isfinite(kept))
    if wrong.size:
        raise UsageError(
            f"weight {where(int(wrong[0]))} is {values[wrong[0]]}; weights must be finite in float32"
        )
    return kept
