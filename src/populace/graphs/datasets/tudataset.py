"""Many small graphs in one, from TUDataset's files or a list, and batches of them inside a program."""

from functools import cache
from pathlib import Path

import numpy as np

from populace.core.errors import RunError
from populace.data.download import damaged, places
from populace.data.tables import table
from populace.graphs.data.graph import read_only
from populace.graphs.data.graph_set import GraphSet, offsets_of, one_hot


def tudataset(name: str) -> GraphSet:
    """Return a data set of TU Dortmund: graphs, each with a class.

    The text files `NAME_A.txt`, `NAME_graph_indicator.txt` and `NAME_graph_labels.txt`, and where there are
    such `_node_labels`, `_node_attributes` and `_edge_labels`, lie in `$POPULACE_DATA/NAME`, in
    `$POPULACE_DATA/tudataset/NAME`, in `$POPULACE_DATA`, or in the cache. Features are the labels of nodes,
    one-hot, and behind them the attributes; where there are neither, the degree, one-hot.

    Raises:
        RunError: there is no such folder, or a file is missing, damaged, or does not fit the others.

    Source: C. Morris et al. (2020), TUDataset: A collection of benchmark datasets for learning with graphs,
    arXiv:2007.08663.

    """
    looked = places(name, f"tudataset/{name}")
    for place in looked:
        if (place / f"{name}_A.txt").is_file():
            return _read(name, place.resolve())
    where = ", ".join(str(place) for place in looked)
    raise RunError(
        f"{name}: no {name}_A.txt in {where}; unpack the set of https://chrsmrrs.github.io/datasets into a "
        "folder and set POPULACE_DATA to that folder"
    )


@cache
def _read(name: str, folder: Path) -> GraphSet:
    def file(part: str) -> Path:
        return folder / f"{name}_{part}.txt"

    def numbers(part: str, rows: int | None = None, columns: tuple[int, ...] | None = (1,)) -> np.ndarray:
        values = table(file(part), columns)
        if rows is not None and len(values) != rows:
            raise damaged(file(part), f"has {len(values):,} lines, expected {rows:,}")
        return values

    def whole(part: str, rows: int | None = None, columns: int = 1) -> np.ndarray:
        values = numbers(part, rows, (columns,))
        wrong = (values != np.rint(values)).any(axis=1)
        if wrong.any():
            raise damaged(file(part), f"has in line {wrong.argmax() + 1} no whole number")
        return values.astype(np.int64)

    owner = whole("graph_indicator")[:, 0]
    labels = whole("graph_labels")[:, 0]
    steps = np.diff(owner, prepend=1)
    wrong = (steps < 0) | (owner < 1) | (owner > len(labels))
    if wrong.any() or not len(owner):
        line = int(wrong.argmax()) if len(owner) else 0
        found = f"graph {owner[line]} in line {line + 1}" if len(owner) else "no lines"
        raise damaged(file("graph_indicator"), f"has {found}, expected 1 to {len(labels)}, never falling")
    arcs = whole("A", columns=2)
    outside = ((arcs < 1) | (arcs > len(owner))).any(axis=1)
    if outside.any():
        line = int(outside.argmax())
        raise damaged(
            file("A"), f"has in line {line + 1} {arcs[line].tolist()}, nodes go from 1 to {len(owner)}"
        )
    sources, targets = arcs.T - 1
    stray = owner[sources] != owner[targets]
    if stray.any():
        raise damaged(file("A"), f"has in line {stray.argmax() + 1} an edge between two graphs")
    features = []
    if file("node_labels").is_file():
        features = [one_hot(np.unique(c, return_inverse=True)[1]) for c in whole("node_labels", len(owner)).T]
    if file("node_attributes").is_file():
        attributes = numbers("node_attributes", len(owner), None)
        if not (finite := np.isfinite(attributes).all(axis=1)).all():
            raise damaged(file("node_attributes"), f"has in line {finite.argmin() + 1} NaN or infinity")
        features.append(attributes.astype(np.float32))
    arc_labels = whole("edge_labels", len(arcs))[:, 0] if file("edge_labels").is_file() else None
    known, y = np.unique(labels, return_inverse=True)
    return read_only(
        GraphSet.joined(
            sources, targets, offsets_of(np.bincount(owner - 1, minlength=len(labels))), y,
            x=np.concatenate(features, axis=1) if features else None, arc_labels=arc_labels,
            names=tuple(map(str, known)), name=name,
        )
    )  # fmt: skip
