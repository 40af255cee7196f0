"""How many nodes a graph has and what its arcs weigh: checked before it is made, with what is wrong named."""

from collections.abc import Callable
from typing import Any

import numpy as np

from populace.core.errors import UsageError
from populace.graphs.data.labels import numbers
from populace.nn.graph.edges import plain


def count_nodes(nodes: int | None, x: Any, y: Any, *ends: Any) -> int:
    """Return how many nodes there are: as many as said, else as features or labels, else as arcs need."""
    if nodes is not None:
        return nodes
    for what, part in (("features", x), ("labels", y)):
        if part is not None:
            shape = tuple(part.shape if hasattr(part, "shape") else numbers(what, part).shape)
            if not shape:
                raise UsageError(f"{what} have shape (), expected a row for each node")
            return int(shape[0])
    found = [a[np.isfinite(a)] for a in (plain("ends of arcs", e) for e in ends) if a.dtype.kind in "iuf"]
    return max((int(a.max()) + 1 for a in found if a.size), default=0)


def checked_weights(
    weight: Any, count: int, each: str = "arc", where: Callable[[int], str] = "of arc {}".format
) -> np.ndarray | None:
    """Return weights (count,) as float32, or None; raise a `UsageError` for what is none.

    Args:
        weight: as given, or None.
        count: how many there must be.
        each: what has a weight.
        where: what to call the place of a wrong weight in the message.

    """
    if weight is None:
        return None
    values = numbers("weights", weight)
    if values.shape != (count,):
        raise UsageError(f"weights have shape {values.shape}, expected ({count},), one for each {each}")
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        raise UsageError(f"weight {where(int(wrong[0]))} is {values[wrong[0]]}; weights are finite numbers")
    return values.astype(np.float32)
