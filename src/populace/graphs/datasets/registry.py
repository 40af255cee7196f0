"""Graphs by name."""

import dataclasses
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


def prepared(graph: Graph, given: Graph, how: str) -> Graph:
    """Return a graph with the edges of another, normalized; the same object each time."""
    return _prepared(_Same(graph), _Same(given), how)


class _Same:
    """A graph that is equal to itself only: what a cache knows it by."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def __hash__(self) -> int:
        return id(self.graph)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.graph is other.graph


@lru_cache(maxsize=8)
def _prepared(graph: _Same, given: _Same, how: str) -> Graph:
    ready, whole = given.graph.normalized(how), graph.graph
    return dataclasses.replace(
        whole, edges=ready.edges, weight=ready.weight, normalization=ready.normalization
    )
