"""Conversion from and to other formats: edge lists, CSV, matrices, NetworkX, PyTorch Geometric.

Everywhere an edge (u, v) has source u and target v, and is entry [u, v] of an adjacency matrix; an undirected
edge is stored in both directions. `parts` are the other arguments of `Graph.of`: nodes, x, y, train, names...
"""

from collections.abc import Hashable
from typing import Any

import networkx as nx
import numpy as np
from scipy import sparse

from populace.core.errors import UsageError
from populace.graphs.data.formats.edge_lists import from_csv, from_edges
from populace.graphs.data.graph import Graph
from populace.graphs.data.node_names import NodeNames
from populace.nn.graph.edges import as_array, is_symmetric, repeated

__all__ = [
    "array", "from_coo", "from_csv", "from_data", "from_edge_index", "from_edges", "from_networkx",
    "from_scipy", "to_edge_index", "to_networkx", "to_scipy",
]  # fmt: skip


def from_coo(
    sources: Any, targets: Any, weight: Any = None, *, directed: bool | None = None, **parts: Any
) -> Graph:
    """Build a graph from row and column arrays, one entry per directed edge.

    By default the graph is undirected if every edge has its reverse with the same weight.
    """
    graph = Graph.of(sources, targets, weight=weight, directed=directed is not False, **parts)
    if directed is None and is_symmetric(graph.edges, graph.weight):
        return graph.undirected()
    return graph


def from_scipy(matrix: Any, *, directed: bool | None = None, **parts: Any) -> Graph:
    """Build a graph from an adjacency matrix, SciPy sparse in any format, or dense.

    Every stored entry (of a dense matrix, every nonzero entry) is an edge, and its value the weight; if all
    are 1 the graph has no weights. By default it is undirected if the matrix is symmetric.

    Raises:
        UsageError: a matrix that is not square, is not numeric, or contains NaN.

    """
    given = matrix if sparse.issparse(matrix) else as_array("rows of an adjacency matrix", matrix)
    if given.dtype.kind not in "biuf":
        raise UsageError(f"an adjacency matrix must be real, got {given.dtype}; convert it to float")
    # SciPy has no sparse matrices of half precision.
    coo: Any = sparse.coo_array(given.astype(np.float32) if given.dtype == np.float16 else given)
    if coo.ndim != 2 or coo.shape[0] != coo.shape[1]:
        raise UsageError(f"an adjacency matrix must be square, got {coo.shape}")
    weight = None if (coo.data == 1).all() else coo.data
    sources, targets = coo.coords
    return from_coo(sources, targets, weight, directed=directed, **{"nodes": coo.shape[0]} | parts)


def from_networkx(
    graph: Any, *, features: Any = None, label: str | None = None, weight: str = "weight", **parts: Any
) -> Graph:
    """Build a graph from NetworkX's Graph, DiGraph, MultiGraph or MultiDiGraph.

    Node i is the i-th of `graph.nodes`, and is called what it is called there, unless that is i. Parallel
    edges are kept.

    Args:
        graph: the NetworkX graph.
        features: names of the node attributes, each a number or a vector, to concatenate as features.
        label: name of the node attribute that holds the class; classes are its values in sorted order.
        weight: name of the edge attribute that holds the weight; an edge without it has weight 1.
        parts: other arguments of `Graph.of`.

    Raises:
        UsageError: not a NetworkX graph, a node without the attribute, or attributes that cannot be classes.

    """
    if not isinstance(graph, nx.Graph):  # the other three kinds are too
        got = type(graph).__name__
        raise UsageError(f"from_networkx takes a NetworkX graph, got {got}; use from_edges for pairs")
    number: dict[Hashable, int] = {node: i for i, node in enumerate(graph.nodes)}
    edges = [(number[u], number[v]) for u, v in graph.edges()]
    weights = [w for _, _, w in graph.edges(data=weight)]
    given = None if all(w is None for w in weights) else [1.0 if w is None else w for w in weights]
    if features is not None:
        names = [features] if isinstance(features, str) else list(features)
        columns = [as_array(f"attributes '{name}' of the nodes", _attributes(graph, name)) for name in names]
        parts["x"] = np.concatenate([c.reshape(len(c), -1 if c.size else 0) for c in columns], axis=1)
    if label is not None:
        values = _attributes(graph, label)
        try:
            classes = sorted(set(values), key=lambda value: (str(type(value)), value))
        except TypeError as error:
            raise UsageError(
                f"node attribute '{label}' cannot be sorted into classes ({error}); use numbers or strings"
            ) from None
        parts["y"] = np.array([classes.index(value) for value in values], np.int32)
        parts.setdefault("names", tuple(map(str, classes)))
    parts = {"nodes": len(number), "name": graph.name or "graph"} | parts
    if list(number) != list(range(len(number))):
        parts.setdefault("node_names", NodeNames(number))
    return from_edges(edges, weight=given, directed=graph.is_directed(), **parts)


def from_edge_index(
    edge_index: Any, weight: Any = None, *, directed: bool | None = None, **parts: Any
) -> Graph:
    """Build a graph from PyTorch Geometric's `edge_index`: (2, E), sources in row 0, targets in row 1."""
    ends = array(edge_index)
    if ends.ndim != 2 or ends.shape[0] != 2:
        raise UsageError(f"edge_index must have shape (2, E), got {ends.shape}")
    return from_coo(ends[0], ends[1], weight, directed=directed, **parts)


def from_data(data: Any, **parts: Any) -> Graph:
    """Build a graph from an object with `edge_index`, such as `torch_geometric.data.Data`.

    Also read, where present: `edge_weight` (or `edge_attr` with one value per edge), `edge_attr` with several
    (as edge features), `x`, `y`, `num_nodes`, `train_mask`, `val_mask` and `test_mask`.

    Raises:
        UsageError: an object without `edge_index`, or with masks for several splits.

    """
    if getattr(data, "edge_index", None) is None:
        raise UsageError(f"{type(data).__name__} has no edge_index; expected PyTorch Geometric's layout")
    found: dict[str, Any] = {
        ours: array(value)
        for theirs, ours in (
            ("edge_weight", "weight"), ("x", "x"), ("y", "y"), ("train_mask", "train"),
            ("val_mask", "validation"), ("test_mask", "test"),
        )
        if (value := getattr(data, theirs, None)) is not None
    }  # fmt: skip
    attributes = getattr(data, "edge_attr", None)
    if attributes is not None:
        given = array(attributes)
        if "weight" not in found and given.size == array(data.edge_index).shape[1]:
            found["weight"] = given.reshape(-1)
        else:
            found["edge_features"] = given
    if "y" in found and found["y"].ndim == 2 and found["y"].shape[1] == 1:
        found["y"] = found["y"][:, 0]
    for part in ("train", "validation", "test"):
        if part in found and found[part].ndim > 1:
            raise UsageError(
                f"the {part} mask holds {found[part].shape[1]} splits; pass one of its columns as {part}="
            )
    if (count := getattr(data, "num_nodes", None)) is not None:
        found["nodes"] = int(count)
    return from_edge_index(data.edge_index, **found | parts)


def to_scipy(graph: Graph) -> sparse.csr_array:
    """Return the adjacency matrix: entry [u, v] is the weight of the edge from u to v."""
    weight = np.ones(graph.edges.count, np.float32) if graph.weight is None else graph.weight
    ends = (np.asarray(graph.edges.sources), np.asarray(graph.edges.targets))
    return sparse.coo_array((weight, ends), shape=(graph.nodes, graph.nodes)).tocsr()


def to_networkx(graph: Graph) -> Any:
    """Return NetworkX's Graph or DiGraph, or MultiGraph or MultiDiGraph if edges are repeated.

    Nodes have their names, or else their numbers. Edges have the attribute `weight` if the graph has weights,
    nodes `y` if it has classes.
    """
    kinds = {False: {False: nx.Graph, True: nx.MultiGraph}, True: {False: nx.DiGraph, True: nx.MultiDiGraph}}
    made = kinds[graph.directed][bool(repeated(graph.edges).any())](name=graph.name)
    called: Any = graph.node_names or range(graph.nodes)
    made.add_nodes_from(called)
    sources, targets = graph.edges.sources, graph.edges.targets
    shown = np.ones(len(sources), bool) if graph.directed else sources <= targets
    pairs = ((called[u], called[v]) for u, v in zip(sources[shown].tolist(), targets[shown].tolist()))
    if graph.weight is None:
        made.add_edges_from(pairs)
    else:
        made.add_weighted_edges_from((u, v, w) for (u, v), w in zip(pairs, graph.weight[shown].tolist()))
    if graph.classes:
        nx.set_node_attributes(made, dict(zip(called, graph.y.tolist())), "y")
    return made


def to_edge_index(graph: Graph) -> tuple[np.ndarray, np.ndarray | None]:
    """Return PyTorch Geometric's `edge_index`, (2, E) int64, sources in row 0, and the weights or None."""
    return np.stack([graph.edges.sources, graph.edges.targets]).astype(np.int64), graph.weight


def array(value: Any) -> np.ndarray:
    """Return an array or a PyTorch tensor as a NumPy array."""
    for step in ("detach", "cpu"):
        value = getattr(value, step)() if hasattr(value, step) else value
    return as_array("rows of an array", value)


def _attributes(graph: Any, name: str) -> list[Any]:
    """Return an attribute of every node, in node order."""
    found = dict(graph.nodes(data=name))
    if (missing := next((node for node, value in found.items() if value is None), None)) is not None:
        raise UsageError(f"node {missing!r} has no attribute '{name}'")
    return list(found.values())
