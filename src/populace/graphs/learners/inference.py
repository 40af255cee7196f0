"""What learners of nodes and of graphs keep to predict after their data are gone: counts, names and scales.

A restored learner has a stand-in for its data: of the same widths and class names, with nothing in it. It
tells how the network is built, and is never computed with.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from populace.graphs.data.graph import Graph
from populace.graphs.data.graph_set import GraphSet
from populace.graphs.learners.objective import Classes, Objective, Regression
from populace.nn.graph.edges import EdgeIndex


def described(data: Graph | GraphSet, objective: Objective) -> dict[str, Any]:
    """Return what predictions need of a graph, or of a set, and of what was learned of it."""
    kept = {"features": data.x.shape[1], "outputs": objective.outputs, "classes": list(data.names)}
    kept["edge_features"] = data.edge_inputs
    if isinstance(objective, Regression):
        kept |= {"target_mean": np.asarray(objective[0]), "target_std": np.asarray(objective[1])}
    return kept


def scale_of(kept: Mapping[str, Any]) -> tuple[Any, Any] | None:
    """Return mean and standard deviation of the training targets; None where there are none."""
    if "target_mean" not in kept:
        return None
    return jnp.asarray(kept["target_mean"]), jnp.asarray(kept["target_std"])


def graph_like(kept: Mapping[str, Any], nodes: int, normalization: str) -> Graph:
    """Return a stand-in for a graph that was prepared: of as many nodes, without edges."""
    none = np.zeros(0, np.int32)
    x = np.broadcast_to(np.float32(0), (nodes, kept["features"]))
    edges, _ = EdgeIndex.of(none, none, (nodes, nodes))
    return Graph(
        edges, None, x, _labels(kept, nodes), none, none, none, tuple(kept["classes"]), "graph", False,
        normalization, _of_edges(kept),
    )  # fmt: skip


def set_like(kept: Mapping[str, Any]) -> GraphSet:
    """Return a stand-in for a set of graphs: of none."""
    none, start = np.zeros(0, np.int32), np.zeros(1, np.int32)
    edges, _ = EdgeIndex.of(none, none, (0, 0))
    x = np.zeros((0, kept["features"]), np.float32)
    names = tuple(kept["classes"])
    weight, y = np.zeros(0, np.float32), _labels(kept, 0)
    return GraphSet(
        edges, start, start, x, _of_edges(kept), weight, weight, y, none, none, none, names, "graphs"
    )


def answers(objective: Objective, finished: np.ndarray) -> np.ndarray:
    """Return what was decided: the likeliest class (n,), 0 or 1 of each label (n, K), or numbers (n, K)."""
    if isinstance(objective, Regression):
        return finished
    return finished.argmax(1) if isinstance(objective, Classes) else (finished >= 0.5).astype(np.int32)


def _of_edges(kept: Mapping[str, Any]) -> np.ndarray | None:
    width = kept.get("edge_features", 0)
    return np.zeros((0, width), np.float32) if width else None


def _labels(kept: Mapping[str, Any], rows: int) -> np.ndarray:
    classes = bool(kept["classes"])
    return np.zeros(rows, np.int32) if classes else np.zeros((rows, kept["outputs"]), np.float32)
