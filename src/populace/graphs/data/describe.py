"""Summary statistics of a graph."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from populace.graphs.data.features import SparseFeatures
from populace.graphs.data.graph import Graph
from populace.graphs.data.labels import PARTS
from populace.nn.graph.edges import repeated

_BAR = 30


@dataclass(frozen=True)
class Description:
    """Summary statistics of a graph; `str()` formats them as text.

    Args:
        name: name of the graph.
        nodes: number of nodes.
        edges: number of edges; an undirected edge counts once.
        directed_edges: number of stored edges; an undirected edge counts twice, once in each direction.
        directed: whether edges may lack their reverse.
        weighted: whether edges have weights.
        self_loops: number of edges from a node to itself.
        duplicates: number of edges that repeat another.
        isolated: number of nodes without an edge from or to another node.
        density: fraction of pairs of distinct nodes that are joined by an edge.
        sparsity: fraction of zeros in the adjacency matrix.
        degree: minimum, median, mean and maximum in-degree.
        histogram: (low, high, nodes) for ranges of in-degree, each twice as wide as the previous one.
        components: number of weakly connected components.
        largest: number of nodes of the largest component.
        homophily: edge homophily, the fraction of edges between nodes of known classes that join nodes of the
            same class, without self-loops; None without classes.
        features: number of features, or None.
        nonzero: fraction of feature values that are not 0, or None.
        classes: (name, nodes) of every class.
        unlabeled: number of nodes without a class or target.
        parts: (name, nodes) of every part of the split.

    """

    name: str
    nodes: int
    edges: int
    directed_edges: int
    directed: bool
    weighted: bool
    self_loops: int
    duplicates: int
    isolated: int
    density: float
    sparsity: float
    degree: tuple[int, float, float, int]
    histogram: tuple[tuple[int, int, int], ...]
    components: int
    largest: int
    homophily: float | None
    features: int | None
    nonzero: float | None
    classes: tuple[tuple[str, int], ...]
    unlabeled: int
    parts: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        """Return one statistic per line, and a histogram of degrees."""
        kind = "directed" if self.directed else "undirected"
        least, median, mean, most = self.degree
        facts = [
            ("graph", f"{self.name}, {kind}, {'weighted' if self.weighted else 'not weighted'}"),
            ("nodes", f"{self.nodes:,} ({self.isolated:,} isolated)"),
            ("edges", f"{self.edges:,} ({self.directed_edges:,} directed)"),
            ("self-loops", f"{self.self_loops:,}"),
            ("duplicates", f"{self.duplicates:,}"),
            ("density", f"{self.density:.4g}"),
            ("sparsity", f"{100 * self.sparsity:.4f} % zeros"),
            ("components", f"{self.components:,}, the largest with {self.largest:,} nodes"),
        ]
        if self.homophily is not None:
            facts.append(("homophily", f"{100 * self.homophily:.1f} % of edges join the same class"))
        if self.features is not None:
            facts.append(("features", f"{self.features:,}, {100 * (self.nonzero or 0):.2f} % not zero"))
        if self.classes:
            facts.append(("classes", ", ".join(f"{name} {count:,}" for name, count in self.classes)))
        if self.unlabeled:
            facts.append(("no label", f"{self.unlabeled:,} nodes"))
        if self.parts:
            facts.append(("split", ", ".join(f"{name} {count:,}" for name, count in self.parts)))
        facts.append(("degree", f"min {least:,}, median {median:g}, mean {mean:.2f}, max {most:,}"))
        lines = [f"{name:<12}{fact}" for name, fact in facts]
        top = max((count for *_, count in self.histogram), default=1)
        for low, high, count in self.histogram:
            span = f"{low:,}" if low == high else f"{low:,} to {high:,}"
            lines.append(f"{span:>18} {'#' * -(-_BAR * count // top):<{_BAR}} {count:,}")
        return "\n".join(lines)


def describe(graph: Graph) -> Description:
    """Return summary statistics of a graph: size, density, degrees, components, labels and split."""
    n, edges = graph.nodes, graph.edges
    s, t = edges.sources, edges.targets
    loop, again = s == t, repeated(edges)
    between = ~loop
    distinct = ~again
    touched = np.zeros(n, bool)
    touched[s[between]] = touched[t[between]] = True
    matrix = sparse.coo_array((np.ones(len(s), np.int8), (t, s)), shape=(n, n))
    count, component = connected_components(matrix, directed=False) if n else (0, np.zeros(0, int))
    degrees = np.diff(edges.rows.offsets)
    homophily, classes, unlabeled = _labels(graph, between)
    loops = int(loop.sum())
    return Description(
        name=graph.name, nodes=n, directed_edges=edges.count,
        edges=edges.count if graph.directed else (edges.count - loops) // 2 + loops,
        directed=graph.directed, weighted=graph.weight is not None,
        self_loops=loops, duplicates=int(again.sum()), isolated=int(n - touched.sum()),
        density=float((between & distinct).sum()) / max(n * (n - 1), 1),
        sparsity=1 - float(distinct.sum()) / max(n * n, 1),
        degree=(int(degrees.min()), float(np.median(degrees)), float(degrees.mean()), int(degrees.max()))
        if n else (0, 0.0, 0.0, 0),
        histogram=_histogram(degrees),
        components=int(count), largest=int(np.bincount(component).max(initial=0)),
        homophily=homophily, classes=classes, unlabeled=unlabeled,
        features=None if graph.x is None else graph.x.shape[1],
        nonzero=_nonzero(graph),
        parts=tuple((part, len(nodes)) for part in PARTS if (nodes := getattr(graph, part)) is not None),
    )  # fmt: skip


def _labels(graph: Graph, between: np.ndarray) -> tuple[float | None, tuple[tuple[str, int], ...], int]:
    """Return homophily, (name, nodes) of each class, and the number of nodes without a label."""
    if graph.y is None:
        return None, (), 0
    if graph.y.ndim > 1:
        return None, (), int((~np.isfinite(graph.y).any(axis=1)).sum())
    ends = graph.y[graph.edges.sources], graph.y[graph.edges.targets]
    known = between & (ends[0] >= 0) & (ends[1] >= 0)
    homophily = float((ends[0] == ends[1])[known].mean()) if known.any() else None
    counts = np.bincount(graph.y[graph.y >= 0], minlength=graph.classes)
    names = graph.names or tuple(str(c) for c in range(graph.classes))
    return homophily, tuple(zip(names, counts.tolist())), int((graph.y < 0).sum())


def _nonzero(graph: Graph) -> float | None:
    if graph.x is None:
        return None
    values = graph.x.values if isinstance(graph.x, SparseFeatures) else graph.x
    return float(np.count_nonzero(values)) / max(graph.x.shape[0] * graph.x.shape[1], 1)


def _histogram(degrees: np.ndarray) -> tuple[tuple[int, int, int], ...]:
    """Count nodes of degree 0, 1, 2 to 3, 4 to 7, ..."""
    bins = np.where(degrees > 0, np.log2(np.maximum(degrees, 1)).astype(int) + 1, 0)
    ranges = [(0, 0), *((2**i, 2 ** (i + 1) - 1) for i in range(bins.max(initial=0)))]
    return tuple(
        (low, high, int(count)) for (low, high), count in zip(ranges, np.bincount(bins)) if len(degrees)
    )
