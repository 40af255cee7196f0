"""Sets of small graphs in TUDataset's file format."""

from functools import cache
from pathlib import Path

import numpy as np

from populace.core.errors import RunError
from populace.core.values import to_float32
from populace.data.arrays import read_only
from populace.data.download import damaged, places
from populace.data.tables import table
from populace.graphs.data.graph_set import GraphSet, offsets_of, one_hot

_DENSEST = 1_000  # entries of one-hot labels, for each byte that states them


def tudataset(name: str, *, self_loops: bool = False, duplicates: bool = False) -> GraphSet:
    """Load a data set of the TUDataset collection: graphs, each with a class, or with targets.

    The text files `NAME_A.txt`, `NAME_graph_indicator.txt` and `NAME_graph_labels.txt`, and optionally
    `_node_labels`, `_node_attributes`, `_edge_labels` and `_edge_attributes`, are looked for in
    `$POPULACE_DATA/NAME`, in `$POPULACE_DATA/tudataset/NAME`, in `$POPULACE_DATA`, and in the cache. Node
    features are the one-hot node labels followed by the attributes; without either, the one-hot degree. Edge
    features are made likewise, of what there is. Of labels in several columns, as those of Cuneiform, each
    column is one-hot by itself. Several labels of each graph are targets, (G, K), and so is
    `NAME_graph_attributes.txt` where a set has no graph labels.

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

    def whole(part: str, rows: int | None = None, columns: tuple[int, ...] | None = (1,)) -> np.ndarray:
        values = numbers(part, rows, columns)
        wrong = ((values != np.rint(values)) | (np.abs(values) >= 2**53)).any(axis=1)
        if wrong.any():
            raise damaged(file(part), f"has no integer in line {wrong.argmax() + 1}")
        return values.astype(np.int64)

    def finite(part: str, rows: int | None = None) -> np.ndarray:
        values = to_float32(numbers(part, rows, None))
        if not (sound := np.isfinite(values).all(axis=1)).all():
            raise damaged(file(part), f"has NaN or infinity in line {sound.argmin() + 1}")
        return values

    def features(what: str, rows: int) -> np.ndarray | None:
        """Return labels, one-hot column by column, and attributes of nodes or edges, of what there is."""
        found = []
        if file(f"{what}_labels").is_file():
            columns = whole(f"{what}_labels", rows, None).T
            for column in columns:
                kinds, place = np.unique(column, return_inverse=True)
                if len(kinds) * rows > _DENSEST * (most := file(f"{what}_labels").stat().st_size):
                    many = f"has {len(kinds):,} labels, too many to be encoded one-hot from {most:,} bytes"
                    raise damaged(file(f"{what}_labels"), many)
                found.append(one_hot(place))
        if file(f"{what}_attributes").is_file():
            found.append(finite(f"{what}_attributes", rows))
        return np.concatenate(found, axis=1) if found else None

    owner = whole("graph_indicator")[:, 0]
    if file("graph_labels").is_file() or not file("graph_attributes").is_file():
        labels = whole("graph_labels", columns=None)
    else:
        labels = finite("graph_attributes")
    steps = np.diff(owner, prepend=1)
    wrong = (steps < 0) | (owner < 1) | (owner > len(labels))
    if wrong.any() or not len(owner):
        line = int(wrong.argmax()) if len(owner) else 0
        found = f"graph {owner[line]} in line {line + 1}" if len(owner) else "no lines"
        raise damaged(file("graph_indicator"), f"has {found}, expected 1 to {len(labels)} in ascending order")
    edges = whole("A", columns=(2,))
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
    x, edge_features = features("node", len(owner)), features("edge", len(edges))
    kept = np.ones(len(sources), bool) if self_loops else sources != targets
    if not duplicates:
        first = np.zeros(len(sources), bool)
        first[np.unique(sources * len(owner) + targets, return_index=True)[1]] = True
        kept &= first
    sources, targets = sources[kept], targets[kept]
    edge_features = None if edge_features is None else edge_features[kept]
    if labels.dtype.kind == "i" and labels.shape[1] == 1:
        known, y = np.unique(labels[:, 0], return_inverse=True)
    else:
        known, y = (), to_float32(labels)
    return read_only(
        GraphSet.joined(
            sources, targets, offsets_of(np.bincount(owner - 1, minlength=len(labels))), y,
            x=x, edge_features=edge_features, names=tuple(map(str, known)), name=name,
        )
    )  # fmt: skip
