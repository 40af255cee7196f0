"""Sets of small graphs in TUDataset's file format."""

from functools import cache
from pathlib import Path

import numpy as np

from populace.core.errors import RunError
from populace.data.download import damaged, places
from populace.data.tables import table
from populace.graphs.data.graph import read_only
from populace.graphs.data.graph_set import GraphSet, offsets_of, one_hot


def tudataset(name: str, *, self_loops: bool = False, duplicates: bool = False) -> GraphSet:
    """Load a data set of the TUDataset collection: graphs, each with a class.

    The text files `NAME_A.txt`, `NAME_graph_indicator.txt` and `NAME_graph_labels.txt`, and optionally
    `_node_labels`, `_node_attributes` and `_edge_labels`, are looked for in `$POPULACE_DATA/NAME`, in
    `$POPULACE_DATA/tudataset/NAME`, in `$POPULACE_DATA`, and in the cache. Node features are the one-hot node
    labels followed by the attributes; without either, the one-hot degree.

    Self-loops and repeated edges are left out, as by PyTorch Geometric; of repeated ones the first counts.

    Args:
        name: such as `MUTAG`.
        self_loops: whether to keep self-loops.
        duplicates: whether to keep repeated edges.

    Raises:
        RunError: a file is missing or damaged, or files do not match each other.

    Source: C. Morris et al. (2020), TUDataset: A collection of benchmark datasets for learning with graphs,
    arXiv:2007.08663.

    """
    looked = places(name, f"tudataset/{name}")
    for place in looked:
        if (place / f"{name}_A.txt").is_file():
            return _read(name, place.resolve(), self_loops, duplicates)
    where = ", ".join(str(place) for place in looked)
    raise RunError(
        f"{name}: no {name}_A.txt in {where}; unpack the set of https://chrsmrrs.github.io/datasets into a "
        "folder and set POPULACE_DATA to that folder"
    )


@cache
def _read(name: str, folder: Path, self_loops: bool, duplicates: bool) -> GraphSet:
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
            raise damaged(file(part), f"has no integer in line {wrong.argmax() + 1}")
        return values.astype(np.int64)

    owner = whole("graph_indicator")[:, 0]
    labels = whole("graph_labels")[:, 0]
    steps = np.diff(owner, prepend=1)
    wrong = (steps < 0) | (owner < 1) | (owner > len(labels))
    if wrong.any() or not len(owner):
        line = int(wrong.argmax()) if len(owner) else 0
        found = f"graph {owner[line]} in line {line + 1}" if len(owner) else "no lines"
        raise damaged(file("graph_indicator"), f"has {found}, expected 1 to {len(labels)} in ascending order")
    edges = whole("A", columns=2)
    outside = ((edges < 1) | (edges > len(owner))).any(axis=1)
    if outside.any():
        line = int(outside.argmax())
        raise damaged(
            file("A"),
            f"has edge {edges[line].tolist()} in line {line + 1}, but nodes are numbered 1 to {len(owner)}",
        )
    sources, targets = edges.T - 1
    stray = owner[sources] != owner[targets]
    if stray.any():
        raise damaged(file("A"), f"has an edge between two graphs in line {stray.argmax() + 1}")
    features = []
    if file("node_labels").is_file():
        features = [one_hot(np.unique(c, return_inverse=True)[1]) for c in whole("node_labels", len(owner)).T]
    if file("node_attributes").is_file():
        attributes = numbers("node_attributes", len(owner), None)
        if not (finite := np.isfinite(attributes).all(axis=1)).all():
            raise damaged(file("node_attributes"), f"has NaN or infinity in line {finite.argmin() + 1}")
        features.append(attributes.astype(np.float32))
    edge_labels = whole("edge_labels", len(edges))[:, 0] if file("edge_labels").is_file() else None
    kept = np.ones(len(sources), bool) if self_loops else sources != targets
    if not duplicates:
        first = np.zeros(len(sources), bool)
        first[np.unique(sources * len(owner) + targets, return_index=True)[1]] = True
        kept &= first
    sources, targets = sources[kept], targets[kept]
    edge_labels = None if edge_labels is None else edge_labels[kept]
    known, y = np.unique(labels, return_inverse=True)
    return read_only(
        GraphSet.joined(
            sources, targets, offsets_of(np.bincount(owner - 1, minlength=len(labels))), y,
            x=np.concatenate(features, axis=1) if features else None, edge_labels=edge_labels,
            names=tuple(map(str, known)), name=name,
        )
    )  # fmt: skip
