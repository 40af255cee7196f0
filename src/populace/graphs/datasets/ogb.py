"""Graphs of the Open Graph Benchmark, where they are on disk, with its own splits and scores."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from populace.core.errors import RunError, UsageError, unknown
from populace.data.download import damaged, places
from populace.data.tables import table
from populace.graphs.data.graph import Graph
from populace.graphs.data.graph_set import GraphSet
from populace.graphs.data.graph_set import one_hot as categories

METRICS = ("accuracy", "rocauc", "ap", "rmse")
_SPLIT_FILES = ("train", "valid", "test")


@dataclass(frozen=True)
class _Set:
    """What the files of a data set do not tell."""

    metric: str
    split: str
    both_ways: bool  # each edge is listed once and goes both ways


_MOLECULES = {
    **dict.fromkeys(("molesol", "molfreesolv", "mollipo"), "rmse"),
    **dict.fromkeys(("molpcba", "molmuv"), "ap"),
    **dict.fromkeys(
        ("molhiv", "molbace", "molbbbp", "molclintox", "molsider", "moltox21", "moltoxcast", "molchembl"),
        "rocauc",
    ),
}
_SETS = {
    "ogbn-arxiv": _Set("accuracy", "time", False),
    "ogbn-products": _Set("accuracy", "sales_ranking", True),
    "ogbn-proteins": _Set("rocauc", "species", True),
    "ogbg-ppa": _Set("accuracy", "species", True),
    **{f"ogbg-{name}": _Set(metric, "scaffold", True) for name, metric in _MOLECULES.items()},
}


@dataclass(frozen=True, eq=False)
class Benchmark:
    """A data set of the Open Graph Benchmark.

    Args:
        data: a `Graph` with parts of its nodes, or a `GraphSet` with parts of its graphs.
        metric: what outputs are scored by: `accuracy`, `rocauc`, `ap` or `rmse`.

    """

    data: Graph | GraphSet
    metric: str

    def score(self, outputs: Any, part: str = "test") -> float:
        """Return the score of outputs (N or G, K) for all nodes or graphs, on a part of them."""
        rows = {"train": self.data.train, "validation": self.data.validation, "test": self.data.test}.get(
            part
        )
        if rows is None:
            raise unknown("part", part, ("train", "validation", "test"))
        return score(self.metric, self.data.y[rows], np.asarray(outputs)[rows])


def ogb(name: str, *, split: str | None = None, one_hot: bool = False) -> Benchmark:
    """Return a data set of the Open Graph Benchmark that somebody has downloaded.

    Its folder (`ogbn_arxiv`, or `ogbn-arxiv`, with `raw/` and `split/` inside) lies in `$POPULACE_DATA`, or
    `$POPULACE_DATA` names it, or it is in the cache. Nothing is downloaded. Read are `ogbn-arxiv`,
    `-products` and `-proteins`, `ogbg-ppa` and `ogbg-mol*`. Where nodes have no features they are the mean of
    the features of the arcs into them, if arcs have features; features of arcs are not read otherwise.

    Args:
        name: as the benchmark calls it.
        split: the folder below `split/`, by default the one the benchmark scores by.
        one_hot: of molecules, the features of an atom are categories, whole numbers in a column each; whether
            to give each category that is in the set a column of its own instead. A product with a matrix is
            then the sum of an embedding for each category, which the benchmark's own examples begin with.

    Raises:
        UsageError: a name that is not known.
        RunError: a file is missing, damaged, or does not fit the others.

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
            "POPULACE_DATA to the folder that '" + name.replace("-", "_") + "' is in"
        )
    counts = [_column(folder, f"num-{what}-list", None) for what in ("node", "edge")]
    nodes, arcs = (np.concatenate([[0], np.cumsum(c)]) for c in counts)
    if len(counts[0]) != len(counts[1]):
        raise damaged(
            folder / "raw", f"lists the nodes of {len(counts[0])} graphs, edges of {len(counts[1])}"
        )
    many = name.startswith("ogbg-")
    if not many and len(counts[0]) != 1:
        raise damaged(folder / "raw" / "num-node-list.csv.gz", f"has {len(counts[0])} graphs, expected 1")
    sources, targets = _edges(folder, nodes, arcs)
    features = _features(folder, int(nodes[-1]), targets, sources, known.both_ways)
    if one_hot and features is not None and name.startswith("ogbg-mol"):
        columns = (np.unique(column, return_inverse=True)[1] for column in features.T)
        features = np.concatenate([categories(column) for column in columns], axis=1)
    if known.both_ways:
        sources, targets = np.append(sources, targets), np.append(targets, sources)
    what = "graph" if many else "node"
    y = _labels(folder, what, len(counts[0]) if many else int(nodes[-1]), known.metric)
    parts = _parts(folder, split or known.split)
    try:
        if many:
            graphs = GraphSet.joined(sources, targets, nodes, y, x=features, name=name)
            return Benchmark(graphs.with_split(*parts), known.metric)
        graph = Graph.of(sources, targets, int(nodes[-1]), x=features, y=y, name=name)
        graph = graph.undirected() if known.both_ways else graph
        return Benchmark(graph.with_split(*parts), known.metric)
    except UsageError as error:
        raise damaged(folder, f"does not fit together: {error}") from None


def score(metric: str, targets: Any, outputs: Any) -> float:
    """Return what the benchmark's evaluator returns.

    Args:
        metric: `accuracy` of the highest output of each row; `rocauc`, the area under the curve, and `ap`,
            the average precision, each the mean over the columns that have both a 0 and a 1; `rmse`, the
            root of the mean squared error, the mean over the columns.
        targets: classes (n,), or targets (n, K) with NaN where there is none to score.
        outputs: (n, classes) or (n, K).

    Raises:
        UsageError: an unknown metric, shapes that do not fit, NaN outputs, or no column with both values.

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
        raise UsageError(f"{metric} of targets {y.shape} cannot be taken of outputs {f.shape}")
    if not np.isfinite(f).all():
        raise UsageError(f"outputs of row {np.isfinite(f).all(axis=1).argmin()} hold NaN or infinity")
    if classes:
        return float(accuracy_score(y, f.argmax(axis=1)))
    of = {"rocauc": roc_auc_score, "ap": average_precision_score, "rmse": root_mean_squared_error}[metric]
    known = np.isfinite(y)
    columns = [k for k in range(y.shape[1]) if known[:, k].any()]
    if metric != "rmse":
        columns = [k for k in columns if len(np.unique(y[known[:, k], k])) == 2]
    if not columns:
        raise UsageError(f"{metric} needs a column with a 0 and a 1, there is none in {len(y)} rows")
    return float(np.mean([of(y[known[:, k], k], f[known[:, k], k]) for k in columns]))


def _column(folder: Path, file: str, top: int | None, under: str = "raw") -> np.ndarray:
    """Return whole numbers from 0, one in a line."""
    path = folder / under / f"{file}.csv.gz"
    values = table(path, (1,))[:, 0]
    wrong = (values != np.rint(values)) | (values < 0) | (values >= (np.inf if top is None else top))
    if wrong.any():
        line = int(wrong.argmax())
        raise damaged(path, f"has in line {line + 1} {values[line]:g}, expected a whole number from 0")
    return values.astype(np.int64)


def _edges(folder: Path, nodes: np.ndarray, arcs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the edges as listed, numbered through all graphs."""
    path = folder / "raw" / "edge.csv.gz"
    edges = table(path, (2,))
    if len(edges) != arcs[-1]:
        raise damaged(path, f"has {len(edges):,} lines, expected {arcs[-1]:,}")
    owner = np.repeat(np.arange(len(nodes) - 1), np.diff(arcs))
    size = np.diff(nodes)[owner][:, None]
    wrong = ((edges != np.rint(edges)) | (edges < 0) | (edges >= size)).any(axis=1)
    if wrong.any():
        i = int(wrong.argmax())
        raise damaged(
            path,
            f"has in line {i + 1} {edges[i].tolist()}, "
            f"nodes of graph {owner[i]} go from 0 to {size[i, 0] - 1}",
        )
    sources, targets = (edges.astype(np.int64) + nodes[owner][:, None]).T
    return sources, targets


def _features(
    folder: Path, nodes: int, targets: np.ndarray, sources: np.ndarray, both_ways: bool
) -> np.ndarray | None:
    """Return features of the nodes, or what the arcs into them have on average, or None."""
    path, others = (folder / "raw" / f"{what}-feat.csv.gz" for what in ("node", "edge"))
    if path.is_file():
        values = table(path)
        if len(values) != nodes:
            raise damaged(path, f"has {len(values):,} lines, expected {nodes:,}")
        return values.astype(np.float32)
    if not others.is_file():
        return None
    values = table(others)
    if len(values) != len(targets):
        raise damaged(others, f"has {len(values):,} lines, expected {len(targets):,}")
    ends, values = (np.append(targets, sources), np.tile(values, (2, 1))) if both_ways else (targets, values)
    sums = np.stack([np.bincount(ends, column, minlength=nodes) for column in values.T], axis=1)
    return (sums / np.maximum(np.bincount(ends, minlength=nodes), 1)[:, None]).astype(np.float32)


def _labels(folder: Path, what: str, rows: int, metric: str) -> np.ndarray:
    """Return classes where they are scored by accuracy, else targets with NaN for gaps."""
    path = folder / "raw" / f"{what}-label.csv.gz"
    values = table(path, gaps=True)
    if len(values) != rows:
        raise damaged(path, f"has {len(values):,} lines, expected {rows:,}")
    if metric != "accuracy":
        return values.astype(np.float32)
    missing = np.isnan(values)
    wrong = ((values != np.rint(values)) | (values < 0)) & ~missing
    if values.shape[1] != 1 or wrong.any():
        raise damaged(
            path, f"has in line {wrong.any(axis=1).argmax() + 1} no class, which is one whole number"
        )
    return np.where(missing, -1, values)[:, 0].astype(np.int32)


def _parts(folder: Path, split: str) -> list[np.ndarray]:
    """Return what to train on, to choose by and to judge by."""
    if not (folder / "split" / split).is_dir():
        there = sorted(p.name for p in (folder / "split").glob("*"))
        raise RunError(f"'{folder}' has no split '{split}'; there are: {', '.join(there) or 'none'}")
    return [_column(folder, name, None, f"split/{split}") for name in _SPLIT_FILES]
