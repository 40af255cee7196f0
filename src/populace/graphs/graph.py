"""A graph with what is known of its nodes: checked once, shared by all members."""

import dataclasses
from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy import sparse

from populace.errors import UsageError, unknown
from populace.nn.aggregate import aggregate
from populace.nn.arcs import Arcs

NORMALISATIONS = ("none", "self-loops", "mean", "mean-self-loops", "symmetric", "symmetric-no-loops")
PARTS = ("train", "validation", "test")


class SparseFeatures(eqx.Module):
    """Features of nodes that are mostly zero, such as words of documents, as arcs from features to nodes.

    Attributes:
        arcs: from features (sources) to nodes (targets), one for each value.
        values: (nnz,) float32, in the numbering of the arcs.

    """

    arcs: Arcs
    values: Any

    @classmethod
    def of(cls, matrix: Any) -> Self:
        """Return the features of a SciPy sparse matrix (nodes, features), less its zeros."""
        rows: Any = sparse.coo_array(matrix)
        rows.sum_duplicates()
        kept = rows.data != 0  # NaN is kept, for the check to find
        arcs, places = Arcs.of(rows.col[kept], rows.row[kept], rows.shape)
        return cls(arcs, rows.data[kept][places].astype(np.float32))

    @property
    def shape(self) -> tuple[int, int]:
        """Number of nodes, and of features."""
        return self.arcs.size

    def __matmul__(self, weight: Any) -> jax.Array:
        """Return the product (N, K) with a dense matrix (features, K); only what is there is multiplied."""
        return aggregate(self.arcs, weight, "sum", jnp.asarray(self.values))

    def to_scipy(self) -> sparse.csr_array:
        """Return the matrix (nodes, features)."""
        return sparse.csr_array((self.values, self.arcs.sources, self.arcs.rows.offsets), shape=self.shape)

    def row_normalised(self) -> Self:
        """Return the features with each row divided by its sum; a row that sums to 0 stays as it is."""
        sums = np.bincount(self.arcs.targets, self.values, minlength=self.shape[0])
        sums[sums == 0] = 1
        return type(self)(self.arcs, (self.values / sums[self.arcs.targets]).astype(np.float32))


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
        if nodes is None:
            nodes = next((np.shape(part)[0] for part in (_shaped(x), y) if part is not None), None)
        if nodes is None:
            ends = [np.asarray(a) for a in (sources, targets)]
            nodes = max((int(a.max()) + 1 for a in ends if a.size and a.dtype.kind in "iuf"), default=0)
        arcs, places = Arcs.of(sources, targets, (nodes, nodes))
        if not directed:
            _check_reverse(arcs, places)
        graph = cls(arcs, _weights(weight, places), None, None, None, None, None, (), name, directed)
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
            x = SparseFeatures.of(x) if sparse.issparse(x) else _numbers("features", x).astype(np.float32)
        if x is not None:
            _check_rows("features", x.shape, self.nodes, 2)
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

    def normalised(self, how: str) -> Self:
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
        if how not in NORMALISATIONS:
            raise unknown("normalisation", how, NORMALISATIONS)
        graph = self if how in ("none", "mean", "symmetric-no-loops") else self.with_self_loops()
        if how in ("none", "self-loops"):
            return graph
        s, t = graph.arcs.sources, graph.arcs.targets
        weight = np.ones(len(s)) if graph.weight is None else graph.weight.astype(np.float64)
        rows, columns = (np.bincount(ends, weight, minlength=self.nodes) for ends in (t, s))
        if how.startswith("mean"):
            weight = weight * _power(rows, -1)[t]
        else:
            negative = (rows < 0) | (columns < 0)
            if negative.any():
                raise UsageError(
                    f"weights of node {negative.argmax()} sum to less than 0; '{how}' takes a root of the sum"
                )
            weight = weight * _power(rows, -0.5)[t] * _power(columns, -0.5)[s]
        return dataclasses.replace(graph, weight=weight.astype(np.float32))

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


def labels_of(y: Any, rows: int, names: tuple[str, ...], what: str = "node") -> np.ndarray:
    """Return classes (rows,) int32, or targets (rows, K) float32, of nodes, or of what else is labelled."""
    y = _numbers("labels", y)
    _check_rows("labels", y.shape, rows, 1 if y.ndim == 1 else 2, what)
    if y.ndim > 1 or y.dtype.kind == "f":
        return y.astype(np.float32).reshape(rows, -1)
    wrong = (y < -1) | (y >= len(names)) if names else y < -1
    if wrong.any():
        upper = f" to {len(names) - 1}, as many as names," if names else ""
        row = int(wrong.argmax())
        raise UsageError(f"label of {what} {row} is {y[row]}; classes go from 0{upper} and -1 is none")
    return y.astype(np.int32)


def is_known(y: np.ndarray) -> np.ndarray:
    """Return of which rows the class, or any target, is known."""
    return np.asarray(y >= 0 if y.ndim == 1 else np.isfinite(y).any(axis=1))


def parts_of(parts: tuple[Any, ...], rows: int, y: Any, name: str, what: str = "node") -> dict[str, Any]:
    """Return the numbers of the nodes, or of what else is divided, in each part; see `Graph.with_split`."""
    taken = np.full(rows, -1, np.int8)
    found: dict[str, Any] = dict.fromkeys(PARTS)
    for number, (part, given) in enumerate(zip(PARTS, parts)):
        if given is None:
            continue
        found[part] = _part(part, given, taken, number, what)
        known = np.zeros(rows, bool) if y is None else is_known(y)
        if len(unlabelled := found[part][~known[found[part]]]):
            raise UsageError(f"{part} {what} {unlabelled[0]} has no label; leave it out, or give labels")
    if found["train"] is not None and not len(found["train"]):
        raise UsageError(f"train of {name} is empty; there must be at least one {what} to train on")
    return found


def repeated(arcs: Arcs) -> np.ndarray:
    """Return for each arc whether the one before has the same ends, (E,) bool."""
    s, t = arcs.sources, arcs.targets
    return np.concatenate([[False], (s[1:] == s[:-1]) & (t[1:] == t[:-1])])[: len(s)]


def is_symmetric(arcs: Arcs) -> bool:
    """Return whether every arc has its reverse, as often as itself."""
    back = arcs.back
    # Sorted the other way round, and with ends exchanged, they must be the same arcs.
    return np.array_equal(arcs.targets, arcs.sources[back.order]) and np.array_equal(
        arcs.sources, back.columns
    )


def read_only(tree: Any) -> Any:
    """Return what loaders share, with arrays that cannot be written to."""
    for leaf in jax.tree.leaves(tree):
        leaf.flags.writeable = False
    return tree


def _power(sums: np.ndarray, exponent: float) -> np.ndarray:
    """Return powers of sums, 0 where the sum is 0."""
    return np.where(sums == 0, 0.0, np.where(sums == 0, 1.0, sums) ** exponent)


def _shaped(x: Any) -> Any:
    """Return what tells the shape of features."""
    return np.broadcast_to(0, x.shape) if hasattr(x, "shape") else x


def _numbers(what: str, values: Any) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise UsageError(f"{what} must be numbers, got {array.dtype}")
    return array


def _check_rows(what: str, shape: tuple[int, ...], rows: int, ndim: int, each: str = "node") -> None:
    if len(shape) != ndim or shape[0] != rows:
        expected = f"({rows}, F)" if ndim == 2 else f"({rows},)"
        raise UsageError(f"{what} have shape {shape}, expected {expected}: a row for each of {rows} {each}s")


def _weights(weight: Any, places: np.ndarray) -> np.ndarray | None:
    if weight is None:
        return None
    values = _numbers("weights", weight)
    if values.shape != (len(places),):
        raise UsageError(f"weights have shape {values.shape}, expected ({len(places)},), one for each arc")
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        raise UsageError(f"weight of arc {wrong[0]} is {values[wrong[0]]}; weights are finite numbers")
    return values[places].astype(np.float32)


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


def _part(part: str, given: Any, taken: np.ndarray, number: int, what: str) -> np.ndarray:
    """Return the numbers in a part, and note them as taken."""
    nodes = np.asarray(given)
    if nodes.dtype == bool:
        if nodes.shape != taken.shape:
            raise UsageError(f"mask of {part} has shape {nodes.shape}, expected {taken.shape}")
        nodes = np.flatnonzero(nodes)
    if nodes.ndim != 1 or (nodes.size and nodes.dtype.kind not in "iu"):
        raise UsageError(
            f"{part} must be whole numbers of {what}s (n,), or a mask, got {nodes.dtype} {nodes.shape}"
        )
    wrong = nodes[(nodes < 0) | (nodes >= len(taken))]
    if wrong.size:
        raise UsageError(f"{part} has {what} {wrong[0]}; {what}s are numbered 0 to {len(taken) - 1}")
    nodes = nodes.astype(np.int32)
    if (both := nodes[taken[nodes] >= 0]).size:
        other = PARTS[taken[both[0]]]
        raise UsageError(f"{what} {both[0]} is in {other} and in {part}; parts have none in common")
    taken[nodes] = number
    if nodes.size and (counts := np.bincount(nodes)).max() > 1:
        raise UsageError(f"{what} {counts.argmax()} is in {part} {counts.max()} times; give each once")
    return nodes
