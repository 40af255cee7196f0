"""The citation graphs Cora, CiteSeer and PubMed, and any other data set in Planetoid's file format."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from populace.core.errors import RunError
from populace.data import safe_pickle
from populace.data.arrays import read_only
from populace.data.download import Remote, damaged, fetch, find, places
from populace.data.tables import table
from populace.graphs.data.features import SparseFeatures
from populace.graphs.data.graph import Graph
from populace.graphs.splits.node_splits import public

_MIRROR = "https://raw.githubusercontent.com/kimiyoung/planetoid/master/data/"
_PARTS = ("x", "y", "tx", "ty", "allx", "ally", "graph", "test.index")
_CORA = {
    "x": ("23cfa55d91c6f624233f5eb7b6e3f141f1bd2b2ae39608a63cf5d084bb27baab", 22_119),
    "y": ("94465c14eb53e04ca262198dcbb2521ee8af60fb3f3d546cd6ca24a511b0e7d1", 4_054),
    "tx": ("b9afbaa4a400df991f6f02ef677e1e44da55ffc04801fd02f9e673987829226a", 148_025),
    "ty": ("41f5ac76596a1699cc33f53084a2419e92961c42bb75f36fc38e616d348532ad", 28_135),
    "allx": ("9419ba2f26f5c35243db64aba110e0f35a04851609e0dc5433450676ca6b8543", 257_305),
    "ally": ("2b998f5cc7fedc86e7f97ca2498f47a1ffc1462c29e2d578b23bf3f62b6e7d71", 47_959),
    "graph": ("58f13302f39dde8852dad6fe6d15b89b077b6d7f837626bce671ef80344b383d", 59_847),
    "test.index": ("297ce89af2b51a6a194181c7dbe1796c6a1cf9cd9349a88383b1b1e227867875", 5_000),
}
_NAMES = {
    "cora": (
        "Theory", "Reinforcement Learning", "Genetic Algorithms", "Neural Networks",
        "Probabilistic Methods", "Case Based", "Rule Learning",
    ),
}  # fmt: skip


def planetoid(
    name: str = "cora",
    *,
    normalize_features: bool = False,
    self_loops: bool = False,
    duplicates: bool = False,
) -> Graph:
    """Load a citation graph with its public split: documents, bags of words, and citations.

    The eight files `ind.NAME.x`, `.y`, `.tx`, `.ty`, `.allx`, `.ally`, `.graph` and `.test.index` are looked
    for in `$POPULACE_DATA/NAME`, in `$POPULACE_DATA`, and in the cache. Cora is downloaded if they are
    missing.

    Citations are undirected edges, without duplicates and self-loops, as PyTorch Geometric reads them: of
    CiteSeer's 9,228 directed edges 124 are self-loops, and 9,104 are kept. Nodes that are in none of the
    files (15 of CiteSeer) have zero features and the label -1, and are in no part. The split is that of
    `splits.public`: the labeled nodes of `y`, the next 500, and `test.index` in its order.

    Args:
        name: `cora`, `citeseer`, `pubmed`, or the NAME of other files in this format.
        normalize_features: whether to divide the word counts of each document by their sum.
        self_loops: whether to keep documents' citations of themselves.
        duplicates: whether to keep a citation as often as the files list it.

    Raises:
        RunError: a file is missing and cannot be downloaded, or is damaged, or files do not match each other.

    Source: Z. Yang, W. W. Cohen, R. Salakhutdinov (2016), Revisiting Semi-Supervised Learning with Graph
    Embeddings, arXiv:1603.08861; P. Sen et al. (2008), Collective Classification in Network Data.

    """
    files = [f"ind.{name}.{part}" for part in _PARTS]
    if name == "cora":
        remotes = [Remote(f, (_MIRROR + f,), *known) for f, known in zip(files, _CORA.values())]
        paths = fetch(name, remotes)
    else:
        found = {file: find(name, file) for file in files}
        if missing := [file for file, path in found.items() if path is None]:
            looked = ", ".join(str(place) for place in places(name))
            raise RunError(
                f"{name}: no {', '.join(missing)} in {looked}; put the files of "
                f"https://github.com/kimiyoung/planetoid into a folder and set POPULACE_DATA to that folder"
            )
        paths = tuple(path for path in found.values() if path is not None)
    return _read(name, paths, normalize_features, self_loops, duplicates)


@cache
def _read(name: str, paths: tuple[Path, ...], normalize: bool, self_loops: bool, duplicates: bool) -> Graph:
    by_part: dict[str, Path] = dict(zip(_PARTS, paths))
    if name == "cora":
        _check_cora(by_part)
    all_x, test_x, all_y, test_y = _tables(by_part)
    y = safe_pickle.array(by_part["y"])
    test = _test_nodes(by_part["test.index"], len(test_y), all_x.shape[0])
    lists = safe_pickle.neighbors(by_part["graph"])
    nodes = max(all_x.shape[0], int(test.max()) + 1, max(lists, default=-1) + 1)
    sources, targets = _edges(by_part["graph"], lists, nodes)
    if not self_loops:
        sources, targets = sources[sources != targets], targets[sources != targets]
    coo: Any = sparse.vstack([all_x, test_x]).tocoo()
    row = np.concatenate([np.arange(all_x.shape[0]), test])[coo.row]
    x = SparseFeatures.of(sparse.coo_array((coo.data, (row, coo.col)), shape=(nodes, all_x.shape[1])))
    labels = np.full(nodes, -1, np.int32)
    labels[: len(all_y)], labels[test] = _classes(all_y), _classes(test_y)
    graph = Graph.of(
        sources, targets, nodes, x=x.row_normalized() if normalize else x, y=labels,
        names=_NAMES.get(name) or tuple(str(c) for c in range(all_y.shape[1])), name=name,
    )  # fmt: skip
    graph = (graph if duplicates else graph.without_duplicates("first")).undirected()
    known = labels[: len(y)] >= 0
    if (
        not len(y)
        or len(y) > len(all_y)
        or not known.all()
        or not np.array_equal(_classes(y), labels[: len(y)])
    ):
        raise damaged(by_part["y"], f"has {len(y)} labels that are not the first of '{by_part['ally'].name}'")
    # A data set smaller than the published ones has fewer validation nodes.
    free = labels[len(y) : min(len(all_y), len(y) + 500)]
    held = len(free) if (free >= 0).all() else int((free < 0).argmax())
    scored = test[labels[test] >= 0]
    return read_only(public(graph, len(y), scored, held))


def _check_cora(paths: dict[str, Path]) -> None:
    """Check the files against their published checksums: a pickle with a flipped bit may still load."""
    for part, (expected, _) in _CORA.items():
        try:
            found = hashlib.sha256(paths[part].read_bytes()).hexdigest()
        except OSError as error:
            raise damaged(paths[part], f"cannot be read ({error.strerror})") from None
        if found != expected:
            raise damaged(
                paths[part], f"is not the published file of Cora: it has sha256 {found}, expected {expected}"
            )


def _tables(paths: dict[str, Path]) -> tuple[Any, Any, np.ndarray, np.ndarray]:
    """Return features of the other nodes and of the test nodes, then the one-hot labels of both."""
    x, all_x, test_x = (_matrix(paths[part]) for part in ("x", "allx", "tx"))
    all_y, test_y = (safe_pickle.array(paths[part]) for part in ("ally", "ty"))
    for part, labels, features in (("ally", all_y, all_x), ("ty", test_y, test_x)):
        if len(labels) != features.shape[0]:
            other = paths[part.replace("y", "x")].name
            raise damaged(paths[part], f"has {len(labels)} rows, but '{other}' has {features.shape[0]}")
    for part, found, expected in (
        ("x", x.shape[1], all_x.shape[1]), ("tx", test_x.shape[1], all_x.shape[1]),
        ("ty", test_y.shape[1], all_y.shape[1]),
    ):  # fmt: skip
        if found != expected:
            other = paths["all" + part[-1]].name
            raise damaged(paths[part], f"has {found} columns, but '{other}' has {expected}")
    return all_x, test_x, all_y, test_y


def _matrix(path: Path) -> Any:  # SciPy's types say a shape may be None
    return safe_pickle.matrix(path)


def _classes(one_hot: np.ndarray) -> np.ndarray:
    """Return the classes of one-hot rows, -1 for a row of zeros."""
    return np.where(one_hot.any(axis=1), one_hot.argmax(axis=1), -1).astype(np.int32)


def _test_nodes(path: Path, count: int, first: int) -> np.ndarray:
    """Return the test nodes; row i of the test files describes the i-th of them."""
    values = table(path, columns=(1,))[:, 0]
    most = min(first + path.stat().st_size, np.iinfo(np.int32).max)  # a node takes two bytes at least
    wrong = (values != np.rint(values)) | (values < first) | (values > most)
    if wrong.any():
        line = int(wrong.argmax())
        raise damaged(
            path, f"has {values[line]:g} in line {line + 1}, expected a node from {first} on, none far away"
        )
    if len(values) != count:
        raise damaged(path, f"has {len(values)} lines, but 'tx' and 'ty' have {count} rows")
    nodes, counts = np.unique(values, return_counts=True)
    if (counts > 1).any():
        raise damaged(path, f"lists node {nodes[counts.argmax()]:g} {counts.max()} times")
    if not count:
        raise damaged(path, "is empty, expected test nodes")
    return values.astype(np.int32)


def _edges(path: Path, lists: dict[int, list[int]], nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return sources and targets of the listed edges."""
    sources = np.repeat(list(lists), [len(others) for others in lists.values()]).astype(np.int64)
    targets = np.fromiter((n for others in lists.values() for n in others), np.int64, len(sources))
    for ends in (sources, targets):
        wrong = np.flatnonzero((ends < 0) | (ends >= nodes))
        if wrong.size:
            i = wrong[0]
            raise damaged(
                path,
                f"has an edge from {sources[i]} to {targets[i]}, but nodes are numbered 0 to {nodes - 1}",
            )
    return sources, targets
