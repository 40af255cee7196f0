"""Graphs from lists of edges, in memory or in text files, with nodes by number or by name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from populace.core.errors import PopulaceError, UsageError
from populace.data.tables import fields, numbered
from populace.graphs.data.checks import checked_weights, count_nodes
from populace.graphs.data.edge_features import checked_edge_features
from populace.graphs.data.formats.node_table import NodeTable, read_node_table
from populace.graphs.data.graph import Graph
from populace.graphs.data.node_names import NodeNames, in_order_of_appearance
from populace.nn.graph.edges import as_array, checked_ends

_HEADERS = frozenset(
    ("source", "target", "from", "to", "src", "dst", "u", "v", "head", "tail", "node1", "node2")
)


def from_edges(
    edges: Any,
    *,
    weight: Any = None,
    edge_features: Any = None,
    directed: bool = False,
    node_names: Any = None,
    **parts: Any,
) -> Graph:
    """Build a graph from a list of edges.

    Args:
        edges: (E, 2) integers, or names of nodes. Unless directed, each is stored in both directions (a
            self-loop once), and an edge listed in both directions is stored twice:
            `Graph.without_duplicates` merges them.
        weight: edge weights, (E,).
        edge_features: features of edges, (E, D), the same in both directions.
        directed: whether an edge goes only from its first node to its second.
        node_names: names of all nodes in the order of their numbers, where edges name them; by default those
            of the edges, in the order in which they first appear.
        parts: other arguments of `Graph.of`.

    Raises:
        UsageError: an array of another shape, an edge with a node that is not among the names, or values that
            `Graph.of` refuses.

    """
    pairs = as_array("edges", edges)
    if pairs.size == 0:
        pairs = np.zeros((0, 2), np.int32)
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise UsageError(f"edges must be pairs of nodes, (E, 2), got {pairs.shape}; pass weights as weight=")
    if pairs.dtype.kind in "UO":
        names = in_order_of_appearance(pairs) if node_names is None else NodeNames(node_names)
        pairs, node_names = _numbers(pairs, names, "of edge {}".format, "the names"), names
    parts = parts | {"node_names": node_names}
    return _from_pairs(pairs, weight, edge_features, directed, "of edge {}".format, parts)


def from_csv(
    path: str | Path,
    *,
    node_table: str | Path | NodeTable | None = None,
    directed: bool = False,
    header: bool | None = None,
    **parts: Any,
) -> Graph:
    """Build a graph from a text file with one edge per line: two nodes and an optional weight.

    The separator is a comma, a semicolon, a tab, or spaces; a first line without numbers is a header. Nodes
    are numbers, or names: they are names where a table lists them, and in a file of which no line begins with
    two numbers. Edges are stored as by `from_edges`.

    Args:
        path: the file.
        node_table: the nodes with their features and labels, a CSV file or a
            [`NodeTable`][populace.graphs.data.formats.node_table.NodeTable]; nodes are numbered in its order.
        directed: whether an edge goes only from its first node to its second.
        header: whether the first line is a header; None for where it looks like one: without numbers, or,
            where nodes have names, where it begins with `source`, `from` or the like, or has no number as its
            weight.
        parts: other arguments of `Graph.of`.

    Raises:
        UsageError: a line that is not an edge, or that names a node which is not in the table (the message
            gives its number), or a missing file.

    """
    if isinstance(node_table, str | Path):
        node_table = read_node_table(node_table)
    parts.setdefault("name", Path(path).stem)
    try:
        found = None if node_table is not None else numbered(path, columns=(2, 3))
    except PopulaceError as error:
        if not _has_names(path):
            raise UsageError(str(error).partition("; replace it, or")[0]) from None
        found = None

    def where(row: int) -> str:
        return f"in line {lines[row]} of '{path}'"

    if found is not None:
        values, lines = found
        weight = values[:, 2] if values.shape[1] == 3 else None
        return _from_pairs(values[:, :2], weight, None, directed, where, parts)
    rows, lines = _read(path)
    first = [field.lower() for field in rows[0]] if rows else []
    if header or (header is None and rows and (first[0] in _HEADERS or not all(map(_is_number, first[2:])))):
        rows, lines = rows[1:], lines[1:]
    pairs = np.array([row[:2] for row in rows], object).reshape(-1, 2)
    names = in_order_of_appearance(pairs) if node_table is None else node_table.names
    source = "the names" if node_table is None else f"'{node_table.path}'"
    numbers = _numbers(pairs, names, where, source)
    weight = [_weight(row[2], where(i)) for i, row in enumerate(rows)] if rows and len(rows[0]) == 3 else None
    known = {"node_names": names} if node_table is None else node_table.parts()
    return _from_pairs(numbers, weight, None, directed, where, known | parts)


def _has_names(path: str | Path) -> bool:
    """Return whether lines have two fields or more, and none begins with two numbers."""
    try:
        rows, _ = fields(path)
    except PopulaceError:
        return False
    return all(len(row) > 1 and not (_is_number(row[0]) and _is_number(row[1])) for row in rows)


def _read(path: str | Path) -> tuple[list[list[str]], np.ndarray]:
    """Return the fields of a file whose nodes have names, and the line of each row."""
    try:
        rows, lines = fields(path)
    except PopulaceError as error:
        raise UsageError(str(error).partition("; replace it, or")[0]) from None
    for row, line in zip(rows, lines.tolist()):
        if len(row) not in (2, 3) or len(row) != len(rows[0]) or not row[0] or not row[1]:
            raise UsageError(
                f"'{path}' has {len(row)} fields in line {line}, expected two nodes and an optional weight, "
                "as in the first line"
            )
    return rows, lines


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _weight(field: str, where: str) -> float:
    if not _is_number(field):
        raise UsageError(f"weight {where} is '{field}', expected a number")
    return float(field)


def _numbers(pairs: np.ndarray, names: NodeNames, where: Callable[[int], str], source: str) -> np.ndarray:
    """Return edges (E, 2) of names as numbers of nodes."""
    found = names.numbers(pairs.ravel().tolist()).reshape(-1, 2)
    if (wrong := (found < 0).any(axis=1)).any():
        edge = int(wrong.argmax())
        end = int(found[edge].argmin())
        raise UsageError(
            f"{('source', 'target')[end]} {where(edge)} is '{pairs[edge, end]}', which is not in {source}; "
            "add it, or leave the edge out"
        )
    return found


def _from_pairs(
    pairs: np.ndarray,
    weight: Any,
    features: Any,
    directed: bool,
    where: Callable[[int], str],
    parts: dict[str, Any],
) -> Graph:
    """Build a graph from edges (E, 2), checked before mirroring so that errors name the edge as given."""
    names = parts.get("node_names")
    nodes = count_nodes(
        parts.get("nodes", None if names is None else len(names)), parts.get("x"), parts.get("y"), pairs
    )
    sources, targets = (checked_ends(*end, nodes, where) for end in zip(("source", "target"), pairs.T))
    weight = checked_weights(weight, len(pairs), "edge", where)
    features = checked_edge_features(features, len(pairs))
    if not directed:
        other = sources != targets
        sources, targets = np.append(sources, targets[other]), np.append(targets, sources[other])
        weight = None if weight is None else np.append(weight, weight[other])
        features = None if features is None else np.append(features, features[other], axis=0)
    parts = parts | {"nodes": nodes, "edge_features": features}
    return Graph.of(sources, targets, weight=weight, directed=directed, **parts)
