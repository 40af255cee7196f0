"""Nodes in a CSV file: what each is called, its features, and its class or targets."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from populace.core.errors import PopulaceError, UsageError, unknown
from populace.data.tables import fields
from populace.graphs.data.node_names import NodeNames


@dataclass(frozen=True, eq=False)
class NodeTable:
    """N nodes by name.

    Attributes:
        path: the file.
        names: names of the nodes.
        x: features, (N, F) float32.
        columns: names of the features.
        y: classes (N,) int32, -1 where none is given, or targets (N, K) float32, NaN where none is, or None.
        classes: names of the classes, in sorted order; empty for targets.

    """

    path: str
    names: NodeNames
    x: np.ndarray
    columns: tuple[str, ...]
    y: np.ndarray | None
    classes: tuple[str, ...]

    def parts(self) -> dict[str, Any]:
        """Return the arguments of `Graph.of` that the table has."""
        return {"node_names": self.names, "x": self.x, "y": self.y, "names": self.classes}


def read_node_table(
    path: str | Path,
    *,
    node: str | None = None,
    label: str | None = None,
    targets: str | Sequence[str] = (),
    features: Sequence[str] | None = None,
) -> NodeTable:
    """Read nodes from a CSV file with a header: a line for each node.

    Args:
        path: the file; the separator is a comma, a semicolon, a tab, or spaces, and fields may be quoted.
        node: the column with the names of nodes; by default the first.
        label: the column with the class of each node, a word or a number; empty where it is not known.
        targets: the columns with numbers to predict, instead of a class; empty where they are not known.
        features: the columns with features; by default all others.

    Raises:
        UsageError: no such file or column, a node that is listed twice, a feature that is missing or no
            number (the message names node and line), or both a label and targets.

    """
    try:
        rows, lines = fields(path)
    except PopulaceError as error:
        raise UsageError(str(error).partition("; replace it, or")[0]) from None
    if len(rows) < 2:
        raise UsageError(f"'{path}' has no nodes; expected a header, and a line for each node")
    header, rows, lines = rows[0], rows[1:], lines[1:].tolist()
    for row, line in zip(rows, lines):
        if len(row) != len(header):
            raise UsageError(f"'{path}' has {len(row)} fields in line {line}, {len(header)} in its header")
    targets = [targets] if isinstance(targets, str) else list(targets)
    if label is not None and targets:
        raise UsageError("a table has a label or targets, not both; leave one out")
    node = header[0] if node is None else node
    taken = {node, label, *targets}
    features = [name for name in header if name not in taken] if features is None else list(features)
    for name in (node, *([] if label is None else [label]), *targets, *features):
        if name not in header:
            raise unknown("column", name, header, where=f"'{path}'")
    table = np.array(rows, object).reshape(len(rows), len(header))
    called = table[:, header.index(node)].tolist()
    seen: dict[str, int] = {}
    for name, line in zip(called, lines):
        if not name:
            raise UsageError(f"'{path}' has no name of a node in line {line}, column '{node}'")
        if name in seen:
            raise UsageError(
                f"'{path}' lists node '{name}' twice, in lines {seen[name]} and {line}; keep one"
            )
        seen[name] = line

    def values(wanted: Sequence[str], what: str, gaps: bool) -> np.ndarray:
        found = np.empty((len(rows), len(wanted)), np.float32)
        for k, name in enumerate(wanted):
            column = table[:, header.index(name)]
            for i, field in enumerate(column):
                if (number := _number(field, gaps)) is None:
                    said = f"is '{field}', expected a number" if field else "is missing; fill it in"
                    raise UsageError(
                        f"{what} '{name}' of node '{called[i]}' (line {lines[i]} of '{path}') {said}"
                    )
                found[i, k] = number
        return found

    y, classes = None, ()
    if label is not None:
        kinds = table[:, header.index(label)].tolist()
        classes = tuple(sorted({kind for kind in kinds if kind}, key=_order))
        place = {kind: i for i, kind in enumerate(classes)} | {"": -1}
        y = np.array([place[kind] for kind in kinds], np.int32)
    elif targets:
        y = values(targets, "target", True)
    x = values(features, "feature", False)
    return NodeTable(str(path), NodeNames(called), x, tuple(features), y, classes)


def _number(field: str, gaps: bool) -> float | None:
    """Return a finite number; NaN for an empty field where there may be gaps; else None."""
    if not field:
        return np.nan if gaps else None
    try:
        number = float(field)
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def _order(name: str) -> tuple[int, float, str]:
    """Sort numbers by their size, and before words."""
    number = _number(name, False)
    return (1, 0.0, name) if number is None else (0, number, name)
