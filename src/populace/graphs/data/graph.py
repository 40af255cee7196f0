"""A graph with what is known of its nodes: checked once, shared by all members."""

import dataclasses
from typing import Any, Self

import equinox as eqx
import jax
import numpy as np
from scipy import sparse

from populace.core.errors import UsageError, unknown
from populace.graphs.data import normalisation
from populace.graphs.data.checks import checked_weights, count_nodes
from populace.graphs.data.features import SparseFeatures
from populace.graphs.data.labels import check_rows, labels_of, numbers, parts_of
from populace.nn.graph.edges import Arcs, is_symmetric, repeated


class Graph(eqx.Module):
    """N nodes, E arcs between them, and what is known of the nodes. Arrays are NumPy's.

    An arc carries something from its source to its target. An undirected edge is two arcs.

    Attributes:
        arcs: (N, N).
        weight: (E,) float32 in the numbering of the arcs, or None if every arc counts 1.
        x: features, (N, F) float32 or `SparseFeatures`, or None.
        y: classes (N,) int32, -1 where not known, or targets (N, K) float32, NaN where not known, or None.
        train: (n,) int32, the nodes to train on, or None.
        validation: the nodes to choose by, or None.
        test: the nodes to judge by, or None.
        names: of the classes, if there are any.
        name: of the graph.
        directed: False if every arc has its reverse.

    """

    arcs: Arcs
    weight: Any
    x: Any
    y: Any
    train: Any
    validation: Any
    test: Any
    names: tuple[str, ...] = eqx.field(static=True)
    name: str = eqx.field(static=True)
    directed: bool = eqx.field(static=True)

    @classmethod
    def of(
        cls, sources: Any, targets: Any, nodes: int | None = None, *, weight: Any = None, x: Any = None,
        y: Any = None, train: Any = None, validation: Any = None, test: Any = None,
        names: tuple[str, ...] = (), name: str = "graph", directed: bool = True,
    ) -> Self:  # fmt: skip
        """Return a graph of arcs in any order.

        Args:
            sources: (E,) whole numbers.
            targets: (E,) whole numbers.
            nodes: how many there are; by default as many as features or labels, else what the arcs need.
            weight: (E,) of the arcs as given.
            x: features, dense (N, F), a SciPy sparse matrix, or `SparseFeatures`.
            y: classes, (N,) whole numbers, or targets, (N,) or (N, K) floats.
            train: node numbers, or a mask (N,) of bools; so for the other parts.
            validation: the nodes to choose by.
            test: the nodes to judge by.
            names: of the classes.
            name: of the graph.
            directed: False says that every arc has its reverse.

        Raises:
            UsageError: what does not fit together, or must not be; says which arc or node.

        """
        nodes = count_nodes(nodes, x, y, sources, targets)
        arcs, places = Arcs.of(sources, targets, (nodes, nodes))
        if not directed:
            _check_reverse(arcs, places)
        values = checked_weights(weight, len(places))
        values = None if values is None else values[places]
        graph = cls(arcs, values, None, None, None, None, None, (), name, directed)
        return graph.with_features(x).with_labels(y, names).with_split(train, validation, test)

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return self.arcs.size[0]

    @property
    def classes(self) -> int:
        """Number of classes; 0 where there are no classes."""
        if self.y is None or self.y.ndim > 1:
            return 0
        return len(self.names) or int(self.y.max(initial=-1)) + 1

    def check_outputs(self, outputs: int) -> None:
        """Raise UsageError if a network has fewer outputs than the graph has classes, or targets per node."""
        needed = self.classes or (0 if self.y is None else self.y.shape[1])
        if outputs < needed:
            what = "classes" if self.classes else "targets per node"
            raise UsageError(f"{self.name} has {needed} {what}, the network {outputs} outputs; give {needed}")

    def with_features(self, x: Any) -> Self:
        """Return the graph with other features (see `of`), or with None."""
        if x is not None and not isinstance(x, SparseFeatures):
            x = SparseFeatures.of(x) if sparse.issparse(x) else numbers("features", x).astype(np.float32)
        if x is not None:
            check_rows("features", x.shape, self.nodes, 2)
            sparsely = isinstance(x, SparseFeatures)
            wrong = ~np.isfinite(x.values) if sparsely else ~np.isfinite(x).all(axis=1)
            if wrong.any():
                node = x.arcs.targets[wrong.argmax()] if sparsely else wrong.argmax()
                raise UsageError(f"features of node {node} hold NaN or infinity; remove or fill them")
        return dataclasses.replace(self, x=x)

    def with_labels(self, y: Any, names: tuple[str, ...] = ()) -> Self:
        """Return the graph with other classes or targets (see `of`), or with None."""
        y = None if y is None else labels_of(y, self.nodes, names)
        new = dataclasses.replace(self, y=y, names=tuple(map(str, names)))
        return new.with_split(self.train, self.validation, self.test)

    def with_split(self, train: Any, validation: Any = None, test: Any = None) -> Self:
        """Return the graph with other parts, each of them node numbers, or a mask (N,), or None.

        Raises:
            UsageError: a node that is not there, that is twice in a part or in two parts, or that has no
                label; or nothing to train on.

        """
        found = parts_of((train, validation, test), self.nodes, self.y, self.name)
        return dataclasses.replace(self, **found)

    def with_self_loops(self) -> Self:
        """Return the graph with an arc from every node to itself, of weight 1; one that is there stays."""
        has = np.zeros(self.nodes, bool)
        has[self.arcs.targets[self.arcs.sources == self.arcs.targets]] = True
        return self._with_more(np.flatnonzero(~has), np.flatnonzero(~has), None)

    def undirected(self) -> Self:
        """Return the graph with the reverse of every arc that has none, of the same weight."""
        s, t = self.arcs.sources.astype(np.int64), self.arcs.targets.astype(np.int64)
        alone = ~np.isin(t * self.nodes + s, s * self.nodes + t)
        weight = None if self.weight is None else self.weight[alone]
        return dataclasses.replace(self._with_more(t[alone], s[alone], weight), directed=False)

    def without_duplicates(self, how: str = "sum") -> Self:
        """Return the graph with one arc for each pair of ends.

        Args:
            how: `sum` adds up the weights of equal arcs (an arc without weight counts 1, so the graph has
                weights if any arc was repeated), `first` keeps the one that was given first.

        """
        if how not in ("sum", "first"):
            raise unknown("way to merge arcs", how, ("sum", "first"))
        first = ~repeated(self.arcs)
        if first.all():
            return self
        arcs, _ = Arcs.of(self.arcs.sources[first], self.arcs.targets[first], self.arcs.size)
        weight = None if self.weight is None else self.weight[first]
        if how == "sum":
            sums = np.bincount(np.cumsum(first) - 1, self.weight)
            weight = sums.astype(np.float32)
        return dataclasses.replace(self, arcs=arcs, weight=weight)

    def normalised(self, how: str) -> "Graph":
        """Return the graph with the weights, and the self-loops, of a named normalisation.

        With A[i, j] the weight of the arc from j to i, I the self-loops that are missing, R the sums of the
        rows and C those of the columns (equal where the graph is undirected):

        | name | matrix |
        | --- | --- |
        | `none` | A |
        | `self-loops` | A + I |
        | `mean` | R^-1 A |
        | `mean-self-loops` | R^-1 (A + I), R and C of A + I |
        | `symmetric` | R^-1/2 (A + I) C^-1/2, R and C of A + I |
        | `symmetric-no-loops` | R^-1/2 A C^-1/2 |

        A row or column that sums to 0 gives zeros, never NaN.

        Raises:
            UsageError: an unknown name, or a symmetric one where weights sum to less than 0.

        Source: T. N. Kipf, M. Welling (2017), Semi-Supervised Classification with Graph Convolutional
        Networks, arXiv:1609.02907.

        """
        graph = self.with_self_loops() if normalisation.adds_self_loops(how) else self
        weight = normalisation.weights(graph.arcs, graph.weight, graph.nodes, how)
        return dataclasses.replace(graph, weight=weight)

    def _with_more(self, sources: np.ndarray, targets: np.ndarray, weight: Any) -> Self:
        """Return the graph with arcs added; without a weight they count 1."""
        if not len(sources):
            return self
        arcs, places = Arcs.of(
            np.concatenate([self.arcs.sources, sources]),
            np.concatenate([self.arcs.targets, targets]),
            self.arcs.size,
        )
        if self.weight is not None:
            more = np.ones(len(sources), np.float32) if weight is None else weight
            weight = np.concatenate([self.weight, more])[places]
        return dataclasses.replace(self, arcs=arcs, weight=weight)


def read_only(tree: Any) -> Any:
    """Return what loaders share, with arrays that cannot be written to."""
    for leaf in jax.tree.leaves(tree):
        leaf.flags.writeable = False
    return tree


def _check_reverse(arcs: Arcs, places: np.ndarray) -> None:
    if is_symmetric(arcs):
        return
    pairs = list(zip(arcs.sources.tolist(), arcs.targets.tolist()))
    known = set(pairs)
    alone = next((i for i, (s, t) in enumerate(pairs) if (t, s) not in known), None)
    if alone is not None:
        raise UsageError(
            f"arc {places[alone]} ({pairs[alone][0]} to {pairs[alone][1]}) has no reverse; "
            "an undirected graph has each edge as two arcs: add it, or pass directed=True"
        )
