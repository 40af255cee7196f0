"""A graph with node features, labels and splits: validated once, shared by all members."""

import dataclasses
from typing import Any, Self

import equinox as eqx
import numpy as np
from scipy import sparse

from populace.core.errors import UsageError, unknown
from populace.core.formatting import Overview
from populace.core.values import to_float32
from populace.graphs.data import normalization
from populace.graphs.data.checks import check_reverse, check_same_weight, checked_weights, count_nodes
from populace.graphs.data.edge_features import checked_edge_features, features_of_loops
from populace.graphs.data.features import SparseFeatures
from populace.graphs.data.labels import check_rows, labels_of, numbers, parts_of
from populace.graphs.data.node_names import NodeNames
from populace.graphs.data.overview import said_of
from populace.nn.graph.edges import EdgeIndex, is_symmetric, repeated


class Graph(Overview, eqx.Module):
    """N nodes, E edges, and the features, labels and split of the nodes. Arrays are NumPy arrays.

    An edge carries messages from its source to its target. An undirected edge is stored as two directed
    ones, one in each direction, and E counts both.

    Attributes:
        edges: edge index of size (N, N).
        weight: edge weights, (E,) float32 in the order of `edges`, or None if all are 1.
        x: node features, (N, F) float32 or `SparseFeatures`, or None.
        y: classes (N,) int32, -1 if unknown, or targets (N, K) float32, NaN if unknown, or None.
        train: training nodes, (n,) int32, or None.
        validation: validation nodes, or None.
        test: test nodes, or None.
        names: class names, if there are any.
        name: name of the graph.
        directed: False if every edge has its reverse, of the same weight.
        normalization: what `normalized` made of its edges and weights; empty for a graph as it was given.
        edge_features: (E, D) float32 or uint8 in the order of `edges`, or None.
        node_names: names of the nodes, or None where they have numbers only.

    """

    edges: EdgeIndex
    weight: Any
    x: Any
    y: Any
    train: Any
    validation: Any
    test: Any
    names: tuple[str, ...] = eqx.field(static=True)
    name: str = eqx.field(static=True)
    directed: bool = eqx.field(static=True)
    normalization: str = eqx.field(static=True, default="")
    edge_features: Any = None
    node_names: NodeNames | None = eqx.field(static=True, default=None)

    @classmethod
    def of(
        cls, sources: Any, targets: Any, nodes: int | None = None, *, weight: Any = None, x: Any = None,
        y: Any = None, train: Any = None, validation: Any = None, test: Any = None,
        names: tuple[str, ...] = (), name: str = "graph", directed: bool = True, edge_features: Any = None,
        node_names: Any = None,
    ) -> Self:  # fmt: skip
        """Build a graph from directed edges in any order.

        Args:
            sources: (E,) integers.
            targets: (E,) integers.
            nodes: N; by default the number of rows of the features or labels, else the largest index + 1.
            weight: edge weights, (E,), in the order given.
            x: node features, dense (N, F), a SciPy sparse matrix, or `SparseFeatures`.
            y: classes, (N,) integers, or targets, (N,) or (N, K) floats.
            train: training nodes, as indices or a boolean mask (N,); the same for the other parts.
            validation: validation nodes.
            test: test nodes.
            names: class names.
            name: name of the graph.
            directed: False asserts that every edge has its reverse, of the same weight.
            edge_features: features of edges, (E, D), or (E,) for one, in the order given.
            node_names: names of the nodes, (N,), all different.

        Raises:
            UsageError: arrays of mismatched shapes or invalid values; the message names the edge or node.

        """
        if node_names is not None:
            node_names = node_names if isinstance(node_names, NodeNames) else NodeNames(node_names)
            nodes = len(node_names) if nodes is None else nodes
            if len(node_names) != nodes:
                raise UsageError(f"there are {len(node_names)} names of {nodes} nodes; give one for each")
        nodes = count_nodes(nodes, x, y, sources, targets)
        edges, places = EdgeIndex.of(sources, targets, (nodes, nodes))
        if not directed:
            check_reverse(edges, places)
        values = checked_weights(weight, len(places))
        values = None if values is None else values[places]
        if not directed:
            check_same_weight(edges, values)
        features = checked_edge_features(edge_features, len(places))
        features = None if features is None else features[places]
        graph = cls(
            edges, values, None, None, None, None, None, (), name, directed,
            edge_features=features, node_names=node_names,
        )  # fmt: skip
        return graph.with_features(x).with_labels(y, names).with_split(train, validation, test)

    def _overview(self) -> tuple[str, dict[str, object]]:
        kind = "directed" if self.directed else "stored in both directions"
        return f"Graph '{self.name}'", {
            "nodes": f"{self.nodes:,}",
            "edges": f"{self.edges.count:,}, {kind}{'' if self.weight is None else ', weighted'}",
            **said_of(self),
        }

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return self.edges.size[0]

    @property
    def edge_inputs(self) -> int:
        """Number of features of an edge, D; 0 where there are none."""
        return 0 if self.edge_features is None else self.edge_features.shape[1]

    @property
    def classes(self) -> int:
        """Number of classes; 0 if the labels are not classes."""
        if self.y is None or self.y.ndim > 1:
            return 0
        return len(self.names) or int(self.y.max(initial=-1)) + 1

    def node_index(self, node: int | str) -> int:
        """Return the number of a node, given by its number or by its name.

        Raises:
            UsageError: there is no such node.

        """
        if isinstance(node, str):
            if self.node_names is None:
                raise UsageError(f"nodes of {self.name} have no names; give a number, not {node!r}")
            return self.node_names.index(node)
        if not 0 <= node < self.nodes:
            raise UsageError(f"there is no node {node}; nodes are numbered 0 to {self.nodes - 1}")
        return int(node)

    def check_outputs(self, outputs: int) -> None:
        """Raise a `UsageError` if a network has too few outputs for the classes, or the targets per node."""
        needed = self.classes or (0 if self.y is None else self.y.shape[1])
        if outputs < needed:
            what = "classes" if self.classes else "targets per node"
            raise UsageError(
                f"{self.name} has {needed} {what}, but the network has {outputs} outputs; give it {needed}"
            )

    def with_features(self, x: Any) -> Self:
        """Return the graph with other node features (see `of`), or with none."""
        if x is not None and not isinstance(x, SparseFeatures):
            x = SparseFeatures.of(x) if sparse.issparse(x) else to_float32(numbers("features", x))
        if x is not None:
            check_rows("features", x.shape, self.nodes, 2)
            sparsely = isinstance(x, SparseFeatures)
            wrong = ~np.isfinite(x.values) if sparsely else ~np.isfinite(x).all(axis=1)
            if wrong.any():
                node = x.edges.targets[wrong.argmax()] if sparsely else wrong.argmax()
                raise UsageError(f"features of node {node} contain NaN or infinity; remove or fill them")
        return dataclasses.replace(self, x=x)

    def with_labels(self, y: Any, names: tuple[str, ...] = ()) -> Self:
        """Return the graph with other classes or targets (see `of`), or with none."""
        y = None if y is None else labels_of(y, self.nodes, names)
        new = dataclasses.replace(self, y=y, names=tuple(map(str, names)))
        return new.with_split(self.train, self.validation, self.test)

    def with_split(self, train: Any, validation: Any = None, test: Any = None) -> Self:
        """Return the graph with another split; each part is node indices, a boolean mask (N,), or None.

        Raises:
            UsageError: a node index out of range, a node listed twice, in two parts or without a label, or an
                empty training part.

        """
        found = parts_of((train, validation, test), self.nodes, self.y, self.name)
        return dataclasses.replace(self, **found)

    def with_self_loops(self) -> Self:
        """Return the graph with a self-loop of weight 1 at every node; existing self-loops are kept.

        Features of a loop are the mean of those of the edges into its node, 0 where there are none.
        """
        ends = self.edges.sources, self.edges.targets
        missing, features = normalization.without_self_loop(*ends, self.nodes), self.edge_features
        if features is not None:
            features = features_of_loops(self.edges.targets, features, missing, self.nodes)
        return self._with_more(missing, missing, None, features)

    def undirected(self) -> Self:
        """Return the graph with missing reverse edges added, each with the weight and features of its edge.

        It stays directed where an edge and its reverse, both there before, have different weights, or are
        there a different number of times.
        """
        s, t = self.edges.sources.astype(np.int64), self.edges.targets.astype(np.int64)
        alone = ~np.isin(t * self.nodes + s, s * self.nodes + t)
        weight = None if self.weight is None else self.weight[alone]
        features = None if self.edge_features is None else self.edge_features[alone]
        graph = self._with_more(t[alone], s[alone], weight, features)
        return dataclasses.replace(graph, directed=not is_symmetric(graph.edges, graph.weight))

    def without_duplicates(self, how: str = "sum") -> Self:
        """Return the graph with repeated edges merged (PyTorch Geometric calls this `coalesce`).

        Args:
            how: `sum` adds the weights and features of repeated edges (an edge without weight counts 1, so
                the result has weights if any edge was repeated), `first` keeps the edge that was given first.

        Raises:
            UsageError: an unknown `how`.

        """
        if how not in ("sum", "first"):
            raise unknown("merge rule", how, ("sum", "first"))
        first = ~repeated(self.edges)
        if first.all():
            return self
        edges, _ = EdgeIndex.of(self.edges.sources[first], self.edges.targets[first], self.edges.size)
        weight, features = (None if a is None else a[first] for a in (self.weight, self.edge_features))
        if how == "sum":
            place = np.cumsum(first) - 1
            weight = np.bincount(place, self.weight).astype(np.float32)
            if features is not None:
                features = np.zeros(features.shape, np.float32)
                np.add.at(features, place, self.edge_features)
        return dataclasses.replace(self, edges=edges, weight=weight, edge_features=features, normalization="")

    def normalized(self, how: str) -> "Graph":
        """Return the graph with the edge weights and self-loops of a named normalization.

        With A[i, j] the weight of the edge from j to i, I the missing self-loops, and R and C the row and
        column sums (equal for an undirected graph):

        | name | matrix |
        | --- | --- |
        | `none` | A |
        | `self-loops` | A + I |
        | `mean` | R^-1 A |
        | `mean-self-loops` | R^-1 (A + I), R and C of A + I |
        | `symmetric` | R^-1/2 (A + I) C^-1/2, R and C of A + I |
        | `symmetric-no-loops` | R^-1/2 A C^-1/2 |

        A row or column that sums to 0 gives zeros, never NaN. A graph that has this normalization already is
        returned as it is: no graph is normalized twice.

        Raises:
            UsageError: an unknown name, a symmetric normalization of weights with a negative sum, or a graph
                with another normalization.

        Source: T. N. Kipf, M. Welling (2017), Semi-Supervised Classification with Graph Convolutional
        Networks, arXiv:1609.02907.

        """
        loops = normalization.adds_self_loops(how)
        if self.normalization == how:
            return self
        if self.normalization not in ("", "none"):
            raise UsageError(
                f"{self.name} is normalized already, as '{self.normalization}'; '{how}' takes the graph as "
                "it was given"
            )
        graph = self.with_self_loops() if loops else self
        ends = graph.edges.sources, graph.edges.targets
        weight = normalization.weights(*ends, graph.weight, graph.nodes, how)
        return dataclasses.replace(graph, weight=weight, normalization=how)

    def _with_more(self, sources: np.ndarray, targets: np.ndarray, weight: Any, features: Any) -> Self:
        """Return the graph with edges added, of weight 1 by default."""
        if not len(sources):
            return self
        edges, places = EdgeIndex.of(
            np.concatenate([self.edges.sources, sources]),
            np.concatenate([self.edges.targets, targets]),
            self.edges.size,
        )
        if self.weight is not None:
            more = np.ones(len(sources), np.float32) if weight is None else weight
            weight = np.concatenate([self.weight, more])[places]
        if features is not None:
            features = np.concatenate([self.edge_features, features])[places]
        return dataclasses.replace(self, edges=edges, weight=weight, edge_features=features, normalization="")
