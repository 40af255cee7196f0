"""Features of edges: checked, and those of the self-loops that are added to a graph."""

from typing import Any

import numpy as np

from populace.core.errors import UsageError
from populace.core.values import to_float32
from populace.graphs.data.labels import numbers


def checked_edge_features(values: Any, count: int) -> np.ndarray | None:
    """Return features (count, D) of edges as float32, uint8 where they are uint8 already, or None.

    Raises:
        UsageError: another shape, values that are no numbers, or NaN or infinity; the message names the edge.

    """
    if values is None:
        return None
    found = numbers("edge features", values)
    found = found[:, None] if found.ndim == 1 else found
    if found.ndim != 2 or len(found) != count:
        raise UsageError(f"edge features have shape {found.shape}, expected ({count}, D): one row per edge")
    if found.dtype == np.uint8:
        return found
    found = to_float32(found)
    if (wrong := ~np.isfinite(found).all(axis=1)).any():
        raise UsageError(f"features of edge {wrong.argmax()} contain NaN or infinity; remove or fill them")
    return found


def features_of_loops(
    targets: np.ndarray, features: np.ndarray, looped: np.ndarray, nodes: int
) -> np.ndarray:
    """Return the features of self-loops that are added at some nodes, (n, D) float32.

    That of a node is the mean over the edges into it, as PyTorch Geometric's attention layers fill them; 0
    where there are none.
    """
    count = np.maximum(np.bincount(targets, minlength=nodes), 1)[:, None]
    sums = [np.bincount(targets, column, minlength=nodes) for column in features.T.astype(np.float64)]
    means = np.stack(sums, axis=1).reshape(nodes, -1) / count if sums else np.zeros((nodes, 0))
    return means[looped].astype(np.float32)
