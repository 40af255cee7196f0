"""The graphs that are known by a name."""

from populace.core.errors import UsageError
from populace.graphs.data.graph import Graph
from populace.graphs.datasets.karate import karate
from populace.graphs.datasets.ogb import ogb
from populace.graphs.datasets.planetoid import planetoid

GRAPHS = ("karate", "cora", "citeseer", "pubmed")


def graph_named(name: str, normalize_features: bool = True) -> Graph:
    """Return the karate club, a graph in Planetoid's form, or one of OGB's; docs/data.md says where from.

    Args:
        name: one of `GRAPHS`, another set in Planetoid's form, or one of OGB's (`ogbn-...`).
        normalise_features: divide the features of each node by their sum.

    Raises:
        UsageError: no name, or a set of many graphs.
        RunError: files are missing and cannot be downloaded, or are damaged.

    """
    if not name:
        raise UsageError(f"dataset must be one of {', '.join(GRAPHS)}, or another Planetoid set, got ''")
    if name.startswith("ogb"):  # their features are measured, and stay as they are
        graph = ogb(name).data
        if not isinstance(graph, Graph):
            raise UsageError(f"{name} is many graphs; give its name to a learner of graphs")
        return graph
    return karate() if name == "karate" else planetoid(name, normalize_features=normalize_features)
