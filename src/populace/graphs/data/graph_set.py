"""A data set of graphs stored as one, and batches of them assembled inside a compiled program."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Self

import equinox as eqx
import numpy as np
from scipy import sparse

from populace.core.errors import UsageError
from populace.core.formatting import Overview
from populace.data.splits import fold_of
from populace.graphs.data import batching, normalization
from populace.graphs.data.batch import Batch, BatchShape
from populace.graphs.data.edge_features import checked_edge_features, features_of_loops
from populace.graphs.data.features import SparseFeatures
from populace.graphs.data.graph import Graph
from populace.graphs.data.labels import is_known, labels_of, parts_of
from populace.graphs.data.overview import said_of
from populace.nn.graph.edges import MOST_NODES, EdgeIndex


class GraphSet(Overview, eqx.Module):
    """G graphs with N nodes and E edges in total, stored one after the other. Arrays are NumPy arrays.

    Attributes:
        edges: edge index of size (N, N), without edges between graphs.
        node_offsets: (G + 1,) int32; graph g has nodes `node_offsets[g]` to `node_offsets[g + 1] - 1`.
        edge_offsets: (G + 1,) int32, the same for edges.
        x: node features, (N, F) float32, or uint8 for one-hot labels or degrees.
        edge_features: (E, D) float32, or uint8 for one-hot labels, or None.
        symmetric_weight: (E,) float32, weights of the normalization `symmetric`; see `Graph.normalized`.
        loop_weight: (N,) float32, weights of the self-loops that it adds, 0 where a node has one already.
        y: classes (G,) int32, or targets (G, K) float32, NaN if unknown.
        train: training graphs, (n,) int32, if the set has a split, else None.
        validation: validation graphs, or None.
        test: test graphs, or None.
        names: class names.
        name: name of the set.

    """

    edges: EdgeIndex
    node_offsets: Any
    edge_offsets: Any
    x: Any
    edge_features: Any
    symmetric_weight: Any
    loop_weight: Any
    y: Any
    train: Any
    validation: Any
    test: Any
    names: tuple[str, ...] = eqx.field(static=True)
    name: str = eqx.field(static=True)

    @classmethod
    def of(
        cls, graphs: Sequence[Graph], labels: Any, *, names: tuple[str, ...] = (), name: str = "graphs"
    ) -> Self:
        """Build a set from graphs.

        Args:
            graphs: all with features of the same width, or all without (then degrees, one-hot, are used).
            labels: classes, (G,) integers, or targets, (G,) or (G, K) floats.
            names: class names.
            name: name of the set.

        Raises:
            UsageError: features of nodes or edges of different widths, or a graph with edge weights (the
                message names it).

        """
        widths = {None if g.x is None else g.x.shape[1] for g in graphs}
        if not graphs or len(widths) > 1:
            found = f"widths {', '.join(sorted(map(str, widths)))}" if graphs else "no graphs"
            raise UsageError(f"a set needs graphs with features of one width, got {found}")
        if (heavy := next((i for i, g in enumerate(graphs) if g.weight is not None), None)) is not None:
            raise UsageError(f"graph {heavy} has edge weights, which a graph set does not support; drop them")
        edge_widths = {None if g.edge_features is None else g.edge_features.shape[1] for g in graphs}
        if len(edge_widths) > 1:
            found = ", ".join(sorted(map(str, edge_widths)))
            raise UsageError(f"a set needs graphs with edge features of one width, got widths {found}")
        dense = [g.x.to_scipy().toarray() if isinstance(g.x, SparseFeatures) else g.x for g in graphs]
        starts = offsets_of([g.nodes for g in graphs])
        sources, targets = (
            np.concatenate([getattr(g.edges, end) + start for g, start in zip(graphs, starts)])
            for end in ("sources", "targets")
        )
        x = None if widths == {None} else np.concatenate(dense)
        edge_features = None if edge_widths == {None} else np.concatenate([g.edge_features for g in graphs])
        more: Any = {"x": x, "edge_features": edge_features, "names": names, "name": name}
        return cls.joined(sources, targets, starts, labels, **more)

    @classmethod
    def joined(
        cls, sources: Any, targets: Any, node_offsets: Any, labels: Any, *, x: Any = None,
        edge_features: Any = None, names: tuple[str, ...] = (), name: str = "graphs",
    ) -> Self:  # fmt: skip
        """Build a set from edges between nodes that are numbered across all graphs; see the attributes.

        Node features may be sparse, a SciPy matrix or `SparseFeatures`; they are made dense, as batches are.

        Raises:
            UsageError: mismatched shapes or invalid values; the message names the edge, node or graph.

        """
        node_offsets = np.asarray(node_offsets, np.int32)
        count, nodes = len(node_offsets) - 1, int(node_offsets[-1])
        edges, order = EdgeIndex.of(sources, targets, (nodes, nodes))
        owner = np.repeat(np.arange(count), np.diff(node_offsets))
        if (stray := np.flatnonzero(owner[edges.sources] != owner[edges.targets])).size:
            i = stray[0]
            between = f"graph {owner[edges.sources[i]]} to graph {owner[edges.targets[i]]}"
            raise UsageError(f"edge {order[i]} goes from {between}; edges must stay within a graph")
        y = labels_of(labels, count, names, "graph")
        if (unlabeled := np.flatnonzero(~is_known(y))).size:
            raise UsageError(f"graph {unlabeled[0]} has no label; leave it out")
        if x is None:
            degree = np.diff(edges.rows.offsets)
            x = one_hot(degree, int(degree.max(initial=0)) + 1)
        elif sparse.issparse(x) or isinstance(x, SparseFeatures) or np.asarray(x).dtype != np.uint8:
            x = Graph.of(none := np.zeros(0, np.int32), none, nodes).with_features(x).x
            x = x.to_scipy().toarray() if isinstance(x, SparseFeatures) else x
        features = checked_edge_features(edge_features, len(order))
        return cls(
            edges, node_offsets, edges.rows.offsets[node_offsets], np.asarray(x),
            None if features is None else features[order],
            *normalization.symmetric(edges.sources, edges.targets, nodes), y,
            None, None, None, tuple(map(str, names)), name,
        )  # fmt: skip

    def _overview(self) -> tuple[str, dict[str, object]]:
        return f"GraphSet '{self.name}'", {
            "graphs": f"{self.graphs:,}",
            "nodes": f"{int(self.node_offsets[-1]):,} in all",
            "edges": f"{self.edges.count:,} in all",
            **said_of(self),
        }

    @property
    def graphs(self) -> int:
        """Number of graphs."""
        return len(self.node_offsets) - 1

    @property
    def classes(self) -> int:
        """Number of classes; 0 if the labels are targets."""
        return 0 if self.y.ndim > 1 else len(self.names) or int(self.y.max(initial=-1)) + 1

    def graph(self, index: int) -> Graph:
        """Return a single graph of the set."""
        nodes = slice(*self.node_offsets[index : index + 2])
        edges = slice(*self.edge_offsets[index : index + 2])
        sources, targets = (ends[edges] - nodes.start for ends in (self.edges.sources, self.edges.targets))
        graph = Graph.of(
            sources, targets, nodes.stop - nodes.start, x=self.x[nodes], name=f"{self.name} {index}",
            edge_features=None if self.edge_features is None else self.edge_features[edges],
        )  # fmt: skip
        reverse = graph.undirected()
        return reverse if reverse.edges.count == graph.edges.count else graph

    @property
    def edge_inputs(self) -> int:
        """Number of features of an edge, D; 0 where there are none."""
        return 0 if self.edge_features is None else self.edge_features.shape[1]

    def with_self_loops(self) -> Self:
        """Return the set with a self-loop at every node, with edge features as of `Graph.with_self_loops`."""
        sources, targets, nodes = self.edges.sources, self.edges.targets, len(self.x)
        missing, features = normalization.without_self_loop(sources, targets, nodes), self.edge_features
        if not len(missing):
            return self
        if features is not None:
            features = np.concatenate([features, features_of_loops(targets, features, missing, nodes)])
        ends = [np.concatenate([a, missing]) for a in (sources, targets)]
        made = type(self).joined(
            ends[0], ends[1], self.node_offsets, self.y, x=self.x, edge_features=features
        )
        kept = ("edges", "edge_offsets", "edge_features", "symmetric_weight", "loop_weight")
        return dataclasses.replace(self, **{name: getattr(made, name) for name in kept})

    def with_split(self, train: Any, validation: Any = None, test: Any = None) -> Self:
        """Return the set with another split, of graph indices or boolean masks; see `Graph.with_split`."""
        parts = parts_of((train, validation, test), self.graphs, self.y, self.name, "graph")
        return dataclasses.replace(self, **parts)

    def fold_of(self, folds: int = 10, seed: int = 0) -> np.ndarray:
        """Return the fold in which each graph is tested, (G,) int32; see `splits.fold_of`."""
        return fold_of(self.y, folds, seed)

    def folds(self, k: int = 10, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the training and test graphs of each of k folds."""
        found = self.fold_of(k, seed)
        return [
            (np.flatnonzero(found != i).astype(np.int32), np.flatnonzero(found == i).astype(np.int32))
            for i in range(k)
        ]

    def batch_shape(self, graphs: int, *, distinct: bool = True) -> BatchShape:
        """Return a batch shape that fits any choice of B graphs of the set.

        Args:
            graphs: B, graphs in a batch.
            distinct: whether a batch never repeats a graph; otherwise the largest graph has to fit B times.

        Raises:
            UsageError: fewer than 1 graph, or more distinct graphs than the set has.

        """
        if graphs < 1 or (distinct and graphs > self.graphs):
            raise UsageError(f"a batch of {self.name} must have 1 to {self.graphs} graphs, got {graphs}")

        def most(offsets: np.ndarray) -> int:
            sizes = np.sort(np.diff(offsets))
            return int(sizes[-graphs:].sum() if distinct else graphs * sizes[-1])

        return BatchShape(graphs, most(self.node_offsets) + 1, most(self.edge_offsets))

    def batch(self, indices: Any, shape: BatchShape) -> Batch:
        """Return a batch of graphs; works inside a compiled program and under `vmap`.

        Args:
            indices: (B,) integers; a negative one leaves its slot empty.
            shape: batch shape, made for the same B. If the graphs do not fit, all features are NaN.

        """
        return batching.gathered(self, indices, shape)


def one_hot(values: np.ndarray, width: int | None = None) -> np.ndarray:
    """Return the one-hot encoding of integers (N,), as (N, width) uint8."""
    return (values[:, None] == np.arange(width or int(values.max(initial=0)) + 1)).astype(np.uint8)


def offsets_of(sizes: Any) -> np.ndarray:
    """Return the cumulative sizes, starting at 0, (n + 1,) int32."""
    offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    if offsets[-1] > MOST_NODES:
        raise UsageError(f"a set holds at most {MOST_NODES:,} nodes, got {offsets[-1]:,}")
    return offsets.astype(np.int32)
