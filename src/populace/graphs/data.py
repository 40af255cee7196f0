"""The graphs that are known by a name."""

from populace.errors import UsageError
from populace.graphs.graph import Graph
from populace.graphs.karate import karate
from populace.graphs.planetoid import planetoid

GRAPHS = ("karate", "cora", "citeseer", "pubmed")


def graph_named(name: str, normalise_features: bool = True) -> Graph:
    """Return the karate club, or a citation graph in Planetoid's form; docs/data.md says where from.

    Args:
        name: one of `GRAPHS`, or the name of another set in Planetoid's form.
        normalise_features: divide the features of each node by their sum.

    Raises:
        UsageError: no name.
        RunError: files are missing and cannot be downloaded, or are damaged.

    """
    if not name:
        raise UsageError(f"dataset must be one of {', '.join(GRAPHS)}, or another Planetoid set, got ''")
    return karate() if name == "karate" else planetoid(name, normalise_features=normalise_features)
