"""Conversion from and to other formats: edge lists, CSV, matrices, NetworkX, PyTorch Geometric.

Everywhere an edge (u, v) has source u and target v, and is entry [u, v] of an adjacency matrix; an undirected
edge is stored in both directions. `parts` are the other arguments of `Graph.of`: nodes, x, y, train, names...
"""

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
from scipy import sparse

from populace.core.errors import PopulaceError, UsageError
from populace.data.tables import numbered
from populace.graphs.data.checks import checked_weights, count_nodes
from populace.graphs.data.graph import Graph
from populace.nn.graph.edges import as_array, checked_ends, is_symmetric, repeated


def from_edges(edges: Any, *, weight: Any = None, directed: bool = False, **parts: Any) -> Graph:
    """Build a graph from a list of edges.

    Args:
        edges: (E, 2) integers. Unless directed, each is stored in both directions (a self-loop once), and an
            edge listed in both directions is stored twice: `Graph.without_duplicates` merges them.
        weight: edge weights, (E,).
        directed: whether an edge goes only from its first node to its second.
        parts: other arguments of `Graph.of`.

    Raises:
        UsageError: an array of another shape, or values that `Graph.of` refuses.

    """
    pairs = as_array("edges", edges)
    if pairs.size == 0:
        pairs = np.zeros((0, 2), np.int32)
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise UsageError(f"edges must be pairs of nodes, (E, 2), got {pairs.shape}; pass weights as weight=")
    return _from_pairs(pairs, weight, directed, "of edge {}".format, parts)


def from_csv(path: str | Path, *, directed: bool = False, **parts: Any) -> Graph:
    """Build a graph from a text file with one edge per line: two nodes and an optional weight.

    The separator is a comma, a semicolon, a tab, or spaces; a first line without numbers is a header. Edges
    are stored as by `from_edges`.

    Raises:
        UsageError: a line that is not an edge (the message gives its number), or a missing file.

    """
    try:
        values, lines = numbered(path, columns=(2, 3))
    except PopulaceError as error:
        raise UsageError(str(error).partition("; replace it, or")[0]) from None
    weight = values[:, 2] if values.shape[1] == 3 else None
    parts.setdefault("name", Path(path).stem)

    def where(row: int) -> str:
        return f"in line {lines[row]} of '{path}'"

    return _from_pairs(values[:, :2], weight, directed, where, parts)


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

    Node i is the i-th of `graph.nodes`, whatever its name there. Parallel edges are kept.

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

    Also read, where present: `edge_weight` (or `edge_attr` with one value per edge), `x`, `y`, `num_nodes`,
    `train_mask`, `val_mask` and `test_mask`.

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
    if (
        "weight" not in found
        and attributes is not None
        and array(attributes).size == array(data.edge_index).shape[1]
    ):
        found["weight"] = array(attributes).reshape(-1)
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

    Edges have the attribute `weight` if the graph has weights, nodes `y` if it has classes.
    """
    kinds = {False: {False: nx.Graph, True: nx.MultiGraph}, True: {False: nx.DiGraph, True: nx.MultiDiGraph}}
    made = kinds[graph.directed][bool(repeated(graph.edges).any())](name=graph.name)
    made.add_nodes_from(range(graph.nodes))
    sources, targets = graph.edges.sources, graph.edges.targets
    shown = np.ones(len(sources), bool) if graph.directed else sources <= targets
    pairs = zip(sources[shown].tolist(), targets[shown].tolist())
    if graph.weight is None:
        made.add_edges_from(pairs)
    else:
        made.add_weighted_edges_from((u, v, w) for (u, v), w in zip(pairs, graph.weight[shown].tolist()))
    if graph.classes:
        nx.set_node_attributes(made, dict(enumerate(graph.y.tolist())), "y")
    return made


def to_edge_index(graph: Graph) -> tuple[np.ndarray, np.ndarray | None]:
    """Return PyTorch Geometric's `edge_index`, (2, E) int64, sources in row 0, and the weights or None."""
    return np.stack([graph.edges.sources, graph.edges.targets]).astype(np.int64), graph.weight


def array(value: Any) -> np.ndarray:
    """Return an array or a PyTorch tensor as a NumPy array."""
    for step in ("detach", "cpu"):
        value = getattr(value, step)() if hasattr(value, step) else value
    return as_array("rows of an array", value)


def _from_pairs(
    pairs: np.ndarray, weight: Any, directed: bool, where: Callable[[int], str], parts: dict[str, Any]
) -> Graph:
    """Build a graph from edges (E, 2), checked before mirroring so that errors name the edge as given."""
    nodes = count_nodes(parts.get("nodes"), parts.get("x"), parts.get("y"), pairs)
    sources, targets = (checked_ends(*end, nodes, where) for end in zip(("source", "target"), pairs.T))
    weight = checked_weights(weight, len(pairs), "edge", where)
    if not directed:
        other = sources != targets
        sources, targets = np.append(sources, targets[other]), np.append(targets, sources[other])
        weight = None if weight is None else np.append(weight, weight[other])
    parts = parts | {"nodes": nodes}
    return Graph.of(sources, targets, weight=weight, directed=directed, **parts)


def _attributes(graph: Any, name: str) -> list[Any]:
    """Return an attribute of every node, in node order."""
    found = dict(graph.nodes(data=name))
    if (missing := next((node for node, value in found.items() if value is None), None)) is not None:
        raise UsageError(f"node {missing!r} has no attribute '{name}'")
    return list(found.values())
