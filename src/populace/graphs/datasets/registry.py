"""Graphs by name."""

from functools import lru_cache

from populace.core.errors import UsageError
from populace.graphs.data.graph import Graph
from populace.graphs.data.labels import named
from populace.graphs.datasets.karate import karate
from populace.graphs.datasets.ogb import ogb
from populace.graphs.datasets.planetoid import planetoid

GRAPHS = ("karate", "cora", "citeseer", "pubmed")


def graph_named(name: str, normalize_features: bool = True) -> Graph:
    """Load a graph by name: the karate club, a graph in Planetoid's format, or one of OGB; see docs/data.md.

    Args:
        name: one of `GRAPHS`, another data set in Planetoid's format, or one of OGB (`ogbn-...`).
        normalize_features: whether to divide the features of each node by their sum (not for OGB).

    Raises:
        UsageError: an empty name, or a set of many graphs.
        RunError: files are missing and cannot be downloaded, or are damaged.

    """
    if not name:
        raise UsageError(f"dataset must be one of {', '.join(GRAPHS)}, or another Planetoid set, got ''")
    if name.startswith("ogb"):  # their features are measurements, not counts: never normalized
        graph = ogb(name).data
        if not isinstance(graph, Graph):
            raise UsageError(f"{name} is a set of graphs; use a graph learner, such as graph-classifier")
        return graph
    return karate() if name == "karate" else planetoid(name, normalize_features=normalize_features)


@lru_cache(maxsize=8)
def normalized_graph(name: str, normalize_features: bool, normalization: str) -> Graph:
    """Return `graph_named` with its edges normalized and its classes named, the same object each time."""
    return named(graph_named(name, normalize_features).normalized(normalization))
