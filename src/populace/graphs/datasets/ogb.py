"""Data sets of the Open Graph Benchmark, read from disk, with the benchmark's own splits and scores."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from populace.core.errors import RunError, UsageError, unknown
from populace.core.values import to_float32
from populace.data.download import damaged, places
from populace.data.tables import table
from populace.graphs.data.graph import Graph
from populace.graphs.data.graph_set import GraphSet
from populace.graphs.data.graph_set import one_hot as categories

METRICS = ("accuracy", "roc_auc", "ap", "rmse")
_SPLIT_FILES = ("train", "valid", "test")
_NODES_PER_BYTE = 200  # of packed files: the most that what is said of nodes packs to


@dataclass(frozen=True)
class _Set:
    """Facts about a data set that its files do not contain."""

    metric: str
    split: str
    both_ways: bool  # the files list each undirected edge once


_MOLECULES = {
    **dict.fromkeys(("molesol", "molfreesolv", "mollipo"), "rmse"),
    **dict.fromkeys(("molpcba", "molmuv"), "ap"),
    **dict.fromkeys(
        ("molhiv", "molbace", "molbbbp", "molclintox", "molsider", "moltox21", "moltoxcast", "molchembl"),
        "roc_auc",
    ),
}
_SETS = {
    "ogbn-arxiv": _Set("accuracy", "time", False),
    "ogbn-products": _Set("accuracy", "sales_ranking", True),
    "ogbn-proteins": _Set("roc_auc", "species", True),
    "ogbg-ppa": _Set("accuracy", "species", True),
    **{f"ogbg-{name}": _Set(metric, "scaffold", True) for name, metric in _MOLECULES.items()},
}


@dataclass(frozen=True, eq=False)
class Benchmark:
    """A data set of the Open Graph Benchmark.

    Args:
        data: a `Graph` with a split of its nodes, or a `GraphSet` with a split of its graphs.
        metric: the benchmark's metric: `accuracy`, `roc_auc`, `ap` or `rmse`.

    """

    data: Graph | GraphSet
    metric: str

    def score(self, outputs: Any, part: str = "test") -> float:
        """Return the score on one part of the split, given outputs (N or G, K) for all nodes or graphs.

        Raises:
            UsageError: an unknown part, or what `score` refuses.

        """
        rows = {"train": self.data.train, "validation": self.data.validation, "test": self.data.test}.get(
            part
        )
        if rows is None:
            raise unknown("part", part, ("train", "validation", "test"))
        return score(self.metric, self.data.y[rows], np.asarray(outputs)[rows])


def ogb(name: str, *, split: str | None = None, one_hot: bool = False) -> Benchmark:
    """Load a data set of the Open Graph Benchmark that has already been downloaded.

    Its folder (`ogbn_arxiv` or `ogbn-arxiv`, containing `raw/` and `split/`) is looked for in
    `$POPULACE_DATA`, which may also name the folder itself, and in the cache. Nothing is downloaded.
    Supported are `ogbn-arxiv`, `-products` and `-proteins`, `ogbg-ppa` and `ogbg-mol*`. If nodes have no
    features but edges do, the node features are the means of the features of incoming edges. Those of
    `ogbn-proteins` are read for that only, for it has 79 million edges; others are edge features.

    Args:
        name: the benchmark's name of the data set.
        split: name of a folder in `split/`; by default the benchmark's official split.
        one_hot: for molecules, whose features of atoms and bonds are categories (one integer per column):
            whether to encode them one-hot. A product with a weight matrix is then a sum of embeddings of the
            categories, the first layer of the benchmark's own examples.

    Raises:
        UsageError: an unknown name.
        RunError: a file is missing or damaged, or files do not match each other.

    Source: W. Hu et al. (2020), Open Graph Benchmark: Datasets for Machine Learning on Graphs,
    arXiv:2005.00687.

    """
    if (known := _SETS.get(name)) is None:
        raise unknown("data set of the Open Graph Benchmark", name, _SETS)
    looked = places(name.replace("-", "_"), name)
    folder = next((p for p in looked if (p / "raw" / "edge.csv.gz").is_file()), None)
    if folder is None:
        where = ", ".join(str(place) for place in looked)
        raise RunError(
            f"{name}: no raw/edge.csv.gz in {where}; download it with the package `ogb`, unpack it, and set "
            "POPULACE_DATA to the folder that contains '" + name.replace("-", "_") + "'"
        )
    counts = [_column(folder, f"num-{what}-list", None) for what in ("node", "edge")]
    nodes, ends = (np.concatenate([[0], np.cumsum(c)]) for c in counts)
    if len(counts[0]) != len(counts[1]):
        raise damaged(
            folder / "raw", f"lists the nodes of {len(counts[0])} graphs, but the edges of {len(counts[1])}"
        )
    size = sum(file.stat().st_size for file in (folder / "raw").iterdir())
    if not 0 <= sum(map(float, counts[0])) <= _NODES_PER_BYTE * size:
        what = f"counts {sum(map(float, counts[0])):,.0f} nodes, more than files of {size:,} bytes hold"
        raise damaged(folder / "raw" / "num-node-list.csv.gz", what)
    many = name.startswith("ogbg-")
    if not many and len(counts[0]) != 1:
        raise damaged(folder / "raw" / "num-node-list.csv.gz", f"has {len(counts[0])} graphs, expected 1")
    sources, targets = _edges(folder, nodes, ends)
    of_edges = _edge_features(folder, len(sources))
    features = _features(folder, int(nodes[-1]), targets, sources, known.both_ways, of_edges)
    of_edges = of_edges if many else None
    if one_hot and name.startswith("ogbg-mol"):
        features, of_edges = (None if a is None else _categories(a) for a in (features, of_edges))
    if known.both_ways:
        sources, targets = np.append(sources, targets), np.append(targets, sources)
        of_edges = None if of_edges is None else np.tile(of_edges, (2, 1))
    what = "graph" if many else "node"
    y = _labels(folder, what, len(counts[0]) if many else int(nodes[-1]), known.metric)
    parts = _parts(folder, split or known.split)
    try:
        if many:
            graphs = GraphSet.joined(
                sources, targets, nodes, y, x=features, edge_features=of_edges, name=name
            )
            return Benchmark(graphs.with_split(*parts), known.metric)
        graph = Graph.of(sources, targets, int(nodes[-1]), x=features, y=y, name=name)
        graph = graph.undirected() if known.both_ways else graph
        return Benchmark(graph.with_split(*parts), known.metric)
    except UsageError as error:
        raise damaged(folder, f"contains files that do not match: {error}") from None


def score(metric: str, targets: Any, outputs: Any) -> float:
    """Return the score that the benchmark's own evaluator would return.

    Args:
        metric: `accuracy` of the highest output of each row; `roc_auc`, the area under the ROC curve, and
            `ap`, the average precision, each averaged over the columns that have both a 0 and a 1; `rmse`,
            the root mean squared error, averaged over the columns.
        targets: classes (n,), or targets (n, K) with NaN for missing values, which are not scored.
        outputs: (n, classes) or (n, K).

    Raises:
        UsageError: an unknown metric, shapes that do not match, NaN outputs, or no column with both values.

    """
    from sklearn.metrics import (
        accuracy_score,
        average_precision_score,
        roc_auc_score,
        root_mean_squared_error,
    )

    if metric not in METRICS:
        raise unknown("metric", metric, METRICS)
    y, f = np.asarray(targets), np.asarray(outputs)
    classes = metric == "accuracy"
    if f.ndim != 2 or y.shape[:1] != f.shape[:1] or (y.ndim != 1 if classes else y.shape != f.shape):
        raise UsageError(f"{metric}: targets {y.shape} and outputs {f.shape} do not match")
    if not np.isfinite(f).all():
        raise UsageError(f"outputs of row {np.isfinite(f).all(axis=1).argmin()} contain NaN or infinity")
    if classes:
        return float(accuracy_score(y, f.argmax(axis=1)))
    of = {"roc_auc": roc_auc_score, "ap": average_precision_score, "rmse": root_mean_squared_error}[metric]
    known = np.isfinite(y)
    columns = [k for k in range(y.shape[1]) if known[:, k].any()]
    if metric != "rmse":
        columns = [k for k in columns if len(np.unique(y[known[:, k], k])) == 2]
    if not columns:
        raise UsageError(f"{metric} needs a column with both a 0 and a 1, found none in {len(y)} rows")
    return float(np.mean([of(y[known[:, k], k], f[known[:, k], k]) for k in columns]))


def _column(folder: Path, file: str, top: int | None, under: str = "raw") -> np.ndarray:
    """Read non-negative integers, one per line."""
    path = folder / under / f"{file}.csv.gz"
    values = table(path, (1,))[:, 0]
    wrong = (values != np.rint(values)) | (values < 0) | (values >= (2**53 if top is None else top))
    if wrong.any():
        line = int(wrong.argmax())
        raise damaged(path, f"has {values[line]:g} in line {line + 1}, expected a non-negative integer")
    return values.astype(np.int64)


def _edges(folder: Path, nodes: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sources and targets of the edges, numbered across all graphs."""
    path = folder / "raw" / "edge.csv.gz"
    edges = table(path, (2,))
    if len(edges) != ends[-1]:
        raise damaged(path, f"has {len(edges):,} lines, expected {ends[-1]:,}")
    owner = np.repeat(np.arange(len(nodes) - 1), np.diff(ends))
    size = np.diff(nodes)[owner][:, None]
    wrong = ((edges != np.rint(edges)) | (edges < 0) | (edges >= size)).any(axis=1)
    if wrong.any():
        i = int(wrong.argmax())
        raise damaged(
            path,
            f"has edge {edges[i].tolist()} in line {i + 1}, "
            f"but the nodes of graph {owner[i]} are numbered 0 to {size[i, 0] - 1}",
        )
    sources, targets = (edges.astype(np.int64) + nodes[owner][:, None]).T
    return sources, targets


def _categories(features: np.ndarray) -> np.ndarray:
    """Return columns of categories one-hot, each by itself, as uint8."""
    columns = (np.unique(column, return_inverse=True)[1] for column in features.T)
    return np.concatenate([categories(column) for column in columns], axis=1)


def _edge_features(folder: Path, edges: int) -> np.ndarray | None:
    """Return features (E, D) of the edges as the files list them, or None."""
    path = folder / "raw" / "edge-feat.csv.gz"
    if not path.is_file():
        return None
    values = table(path)
    if len(values) != edges:
        raise damaged(path, f"has {len(values):,} lines, expected {edges:,}")
    return to_float32(values)


def _features(
    folder: Path,
    nodes: int,
    targets: np.ndarray,
    sources: np.ndarray,
    both_ways: bool,
    values: np.ndarray | None,
) -> np.ndarray | None:
    """Return node features, or the mean features of each node's incoming edges, or None."""
    path = folder / "raw" / "node-feat.csv.gz"
    if path.is_file():
        found = table(path)
        if len(found) != nodes:
            raise damaged(path, f"has {len(found):,} lines, expected {nodes:,}")
        return to_float32(found)
    if values is None:
        return None
    ends, values = (np.append(targets, sources), np.tile(values, (2, 1))) if both_ways else (targets, values)
    sums = np.stack([np.bincount(ends, column, minlength=nodes) for column in values.T], axis=1)
    return to_float32(sums / np.maximum(np.bincount(ends, minlength=nodes), 1)[:, None])


def _labels(folder: Path, what: str, rows: int, metric: str) -> np.ndarray:
    """Return classes if the metric is accuracy, else targets with NaN for missing values."""
    path = folder / "raw" / f"{what}-label.csv.gz"
    values = table(path, gaps=True)
    if len(values) != rows:
        raise damaged(path, f"has {len(values):,} lines, expected {rows:,}")
    if metric != "accuracy":
        return to_float32(values)
    missing = np.isnan(values)
    wrong = ((values != np.rint(values)) | (values < 0)) & ~missing
    if values.shape[1] != 1 or wrong.any():
        raise damaged(path, f"has no class in line {wrong.any(axis=1).argmax() + 1}, expected one integer")
    return np.where(missing, -1, values)[:, 0].astype(np.int32)


def _parts(folder: Path, split: str) -> list[np.ndarray]:
    """Return the training, validation and test indices of a split."""
    if not (folder / "split" / split).is_dir():
        there = sorted(p.name for p in (folder / "split").glob("*"))
        raise RunError(f"'{folder}' has no split '{split}'; there are: {', '.join(there) or 'none'}")
    return [_column(folder, name, None, f"split/{split}") for name in _SPLIT_FILES]
