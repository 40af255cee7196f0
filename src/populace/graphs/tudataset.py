"""Many small graphs in one, from TUDataset's files or a list, and batches of them inside a program."""

import dataclasses
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.datasets import damaged, places
from populace.errors import RunError, UsageError, unknown
from populace.graphs.convert import table
from populace.graphs.graph import Graph, SparseFeatures, is_known, labels_of, parts_of, read_only
from populace.graphs.splits import fold_of
from populace.nn.arcs import Arcs, Rows

READOUTS = ("sum", "mean", "max")


@dataclasses.dataclass(frozen=True)
class Room:
    """The shape that batches of a number of graphs fit into; a constant of the program.

    Args:
        graphs: B.
        nodes: P, the nodes that fit, and one more that padding arcs go round at.
        arcs: A, the arcs that fit.

    """

    graphs: int
    nodes: int
    arcs: int


class Batch(eqx.Module):
    """Graphs side by side as one graph without arcs between them, padded to the shape of a room.

    The nodes of the first graph come first, then those of the second, and so on; what is left is padding,
    and the last node always is. Padding arcs go from the last node to itself, so no other node hears them.

    Attributes:
        x: (P, F) float32, zeros in padding.
        arcs: (P, P), with A arcs.
        arc_labels: (A,) int32, 0 in padding, or None.
        graph: (P,) int32, the place in the batch of each node's graph, B in padding; never falls.
        sizes: (B,) int32, nodes of each graph.
        y: (B,) int32 or (B, K) float32, of the graphs; of empty places 0.
        present: (B,) bool, False for empty places.

    """

    x: jax.Array
    arcs: Arcs
    arc_labels: jax.Array | None
    graph: jax.Array
    sizes: jax.Array
    y: jax.Array
    present: jax.Array

    @property
    def node_mask(self) -> jax.Array:
        """(P,) bool, False in padding."""
        return self.graph < len(self.sizes)

    @property
    def arc_mask(self) -> jax.Array:
        """(A,) bool, False in padding."""
        return jnp.arange(self.arcs.count) < self.arcs.rows.offsets[-2]

    def readout(self, h: jax.Array, how: str = "sum") -> jax.Array:
        """Return what nodes (P, F) say together for each graph, (B, F); an empty place says 0.

        Sum and mean are a product with the (B, P) matrix of who belongs where: on a CPU quicker over
        members than adding up segment by segment, and the same every time.
        """
        if how not in READOUTS:
            raise unknown("readout", how, READOUTS)
        count = len(self.sizes)
        if how == "max":
            top = jax.ops.segment_max(h, self.graph, count + 1, indices_are_sorted=True)[:count]
            return jnp.where((self.sizes > 0)[:, None], top, 0)
        member = (self.graph[None] == jnp.arange(count)[:, None]).astype(h.dtype)
        if how == "mean":
            member = member / jnp.maximum(self.sizes, 1).astype(h.dtype)[:, None]
        return jnp.matmul(member, h, precision=jax.lax.Precision.HIGHEST)


class GraphSet(eqx.Module):
    """G graphs, N nodes and E arcs in all, each graph's behind those of the graph before. Arrays are NumPy's.

    Attributes:
        arcs: (N, N), none between two graphs.
        node_offsets: (G + 1,) int32; graph g has nodes `node_offsets[g]` to `node_offsets[g + 1] - 1`.
        arc_offsets: (G + 1,) int32, the same for arcs.
        x: (N, F) uint8 if only labels or degrees, one-hot, else float32.
        arc_labels: (E,) int32, or None.
        y: classes (G,) int32, or targets (G, K) float32, NaN where not known.
        train: (n,) int32 graphs to train on, where the set comes with a split, else None.
        validation: the graphs to choose by, or None.
        test: the graphs to judge by, or None.
        names: of the classes.
        name: of the set.

    """

    arcs: Arcs
    node_offsets: Any
    arc_offsets: Any
    x: Any
    arc_labels: Any
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
        """Return a set of one's own graphs.

        Args:
            graphs: each with features of the same width, or all without (then they are degrees, one-hot).
            labels: (G,) whole numbers, the classes, or (G,) or (G, K) floats, the targets.
            names: of the classes.
            name: of the set.

        Raises:
            UsageError: graphs that do not fit together, or have weights; says which graph.

        """
        widths = {None if g.x is None else g.x.shape[1] for g in graphs}
        if not graphs or len(widths) > 1:
            found = f"features of widths {', '.join(sorted(map(str, widths)))}" if graphs else "no graphs"
            raise UsageError(f"a set needs graphs with features of one width, got {found}")
        if (heavy := next((i for i, g in enumerate(graphs) if g.weight is not None), None)) is not None:
            raise UsageError(f"graph {heavy} has weights, a set of graphs has none; leave them out")
        dense = [g.x.to_scipy().toarray() if isinstance(g.x, SparseFeatures) else g.x for g in graphs]
        starts = _offsets([g.nodes for g in graphs])
        sources, targets = (
            np.concatenate([getattr(g.arcs, end) + start for g, start in zip(graphs, starts)])
            for end in ("sources", "targets")
        )
        x = None if widths == {None} else np.concatenate(dense)
        return cls.joined(sources, targets, starts, labels, x=x, names=names, name=name)

    @classmethod
    def joined(
        cls, sources: Any, targets: Any, node_offsets: Any, labels: Any, *, x: Any = None,
        arc_labels: Any = None, names: tuple[str, ...] = (), name: str = "graphs",
    ) -> Self:  # fmt: skip
        """Return a set of arcs between nodes that are numbered through; see the attributes.

        Raises:
            UsageError: what does not fit together, or must not be; says which arc, node or graph.

        """
        node_offsets = np.asarray(node_offsets, np.int32)
        count, nodes = len(node_offsets) - 1, int(node_offsets[-1])
        arcs, order = Arcs.of(sources, targets, (nodes, nodes))
        owner = np.repeat(np.arange(count), np.diff(node_offsets))
        if (stray := np.flatnonzero(owner[arcs.sources] != owner[arcs.targets])).size:
            i = stray[0]
            raise UsageError(
                f"arc {order[i]} goes from graph {owner[arcs.sources[i]]} to graph {owner[arcs.targets[i]]}; "
                "arcs stay within a graph"
            )
        y = labels_of(labels, count, names, "graph")
        if (unlabelled := np.flatnonzero(~is_known(y))).size:
            raise UsageError(f"graph {unlabelled[0]} has no label; leave it out")
        if x is None:
            degree = np.diff(arcs.rows.offsets)
            x = one_hot(degree, int(degree.max(initial=0)) + 1)
        elif np.asarray(x).dtype != np.uint8:
            x = Graph.of(none := np.zeros(0, np.int32), none, nodes).with_features(x).x
        if arc_labels is not None:
            arc_labels = np.asarray(arc_labels, np.int32)[order]
        return cls(
            arcs, node_offsets, arcs.rows.offsets[node_offsets], np.asarray(x), arc_labels, y,
            None, None, None, tuple(map(str, names)), name,
        )  # fmt: skip

    @property
    def graphs(self) -> int:
        """Number of graphs."""
        return len(self.node_offsets) - 1

    @property
    def classes(self) -> int:
        """Number of classes; 0 where there are targets."""
        return 0 if self.y.ndim > 1 else len(self.names) or int(self.y.max(initial=-1)) + 1

    def graph(self, index: int) -> Graph:
        """Return one graph by itself."""
        nodes = slice(*self.node_offsets[index : index + 2])
        arcs = slice(*self.arc_offsets[index : index + 2])
        sources, targets = (ends[arcs] - nodes.start for ends in (self.arcs.sources, self.arcs.targets))
        graph = Graph.of(
            sources, targets, nodes.stop - nodes.start, x=self.x[nodes], name=f"{self.name} {index}"
        )
        reverse = graph.undirected()
        return reverse if reverse.arcs.count == graph.arcs.count else graph

    def with_split(self, train: Any, validation: Any = None, test: Any = None) -> Self:
        """Return the set with other parts, of graph numbers or masks; see `Graph.with_split`."""
        parts = parts_of((train, validation, test), self.graphs, self.y, self.name, "graph")
        return dataclasses.replace(self, **parts)

    def fold_of(self, folds: int = 10, seed: int = 0) -> np.ndarray:
        """Return in which fold each graph is tested, (G,) int32; see `splits.fold_of`."""
        return fold_of(self.y, folds, seed)

    def folds(self, k: int = 10, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the graphs to train on and those to test, for each of k folds."""
        found = self.fold_of(k, seed)
        return [
            (np.flatnonzero(found != i).astype(np.int32), np.flatnonzero(found == i).astype(np.int32))
            for i in range(k)
        ]

    def room(self, graphs: int, *, distinct: bool = True) -> Room:
        """Return the room that any so many graphs fit into: as much as the largest need.

        Args:
            graphs: B, the graphs in a batch.
            distinct: whether no graph is twice in a batch; else there is room for the largest B times.

        """
        if graphs < 1 or (distinct and graphs > self.graphs):
            raise UsageError(f"a batch of {self.name} has 1 to {self.graphs} graphs, got {graphs}")

        def most(offsets: np.ndarray) -> int:
            sizes = np.sort(np.diff(offsets))
            return int(sizes[-graphs:].sum() if distinct else graphs * sizes[-1])

        return Room(graphs, most(self.node_offsets) + 1, most(self.arc_offsets))

    def batch(self, indices: Any, room: Room) -> Batch:
        """Return graphs side by side; works inside a compiled program, and mapped over members.

        Args:
            indices: (B,) whole numbers of graphs; a negative one leaves its place empty.
            room: made with the same B. If the graphs do not fit, all features are NaN.

        """
        present = indices >= 0
        chosen = jnp.where(present, indices, 0)
        node_of, first_node, sizes, fits = _places(
            self.node_offsets, chosen, present, room.nodes - 1, room.nodes
        )
        arc_of, first_arc, _, arcs_fit = _places(self.arc_offsets, chosen, present, room.arcs, room.arcs)
        last, arc_count = room.nodes - 1, first_arc[-1]
        node, arc = jnp.arange(room.nodes), jnp.arange(room.arcs)
        # Where the first node and arc of a graph stand in the set, less where they stand in the batch.
        to_node = jnp.append(jnp.asarray(self.node_offsets)[chosen] - first_node[:-1], 0)
        to_arc = jnp.append(jnp.asarray(self.arc_offsets)[chosen] - first_arc[:-1], 0)
        in_node, in_arc = node_of < room.graphs, arc_of < room.graphs
        old_node = jnp.where(in_node, node + to_node[node_of], 0)
        old_arc = jnp.where(in_arc, arc + to_arc[arc_of], 0)

        def ends(column: Any) -> jax.Array:
            return jnp.where(in_arc, jnp.asarray(column)[old_arc] - to_node[arc_of], last).astype(jnp.int32)

        def offsets(rows: Rows) -> jax.Array:
            found = jnp.asarray(rows.offsets)[old_node] - to_arc[node_of]
            return jnp.append(jnp.where(in_node, found, arc_count), room.arcs).astype(jnp.int32)

        def at(values: Any, places: jax.Array, where: jax.Array) -> jax.Array:
            found = jnp.asarray(values)[places]
            return jnp.where(where.reshape(-1, *[1] * (found.ndim - 1)), found, 0)

        sources, order = ends(self.arcs.sources), jnp.asarray(self.arcs.back.order)[old_arc] - to_arc[arc_of]
        order = jnp.where(in_arc, order, arc).astype(jnp.int32)
        arcs = Arcs(
            sources, ends(self.arcs.targets), Rows(offsets(self.arcs.rows), sources, None),
            Rows(offsets(self.arcs.back), ends(self.arcs.back.columns), order),
        )  # fmt: skip
        x = at(self.x, old_node, in_node).astype(jnp.float32)
        return Batch(
            jnp.where(fits & arcs_fit, x, jnp.nan), arcs,
            None if self.arc_labels is None else at(self.arc_labels, old_arc, in_arc),
            node_of, sizes, at(self.y, chosen, present), present,
        )  # fmt: skip


def _places(
    offsets: Any, chosen: jax.Array, present: jax.Array, room: int, width: int
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Return for each place whose graph it is, where graphs begin (B + 1,), their sizes, and if they fit."""
    sizes = jnp.where(present, jnp.diff(jnp.asarray(offsets))[chosen], 0).astype(jnp.int32)
    ends = jnp.cumsum(sizes)
    # A place is of the graph whose number is how many graphs have ended before it.
    owner = jnp.cumsum(jnp.zeros(width, jnp.int32).at[ends].add(1, mode="drop"))
    return owner, jnp.append(0, ends), sizes, ends[-1] <= room


def tudataset(name: str) -> GraphSet:
    """Return a data set of TU Dortmund: graphs, each with a class.

    The text files `NAME_A.txt`, `NAME_graph_indicator.txt` and `NAME_graph_labels.txt`, and where there are
    such `_node_labels`, `_node_attributes` and `_edge_labels`, lie in `$POPULACE_DATA/NAME`, in
    `$POPULACE_DATA/tudataset/NAME`, in `$POPULACE_DATA`, or in the cache. Features are the labels of nodes,
    one-hot, and behind them the attributes; where there are neither, the degree, one-hot.

    Raises:
        RunError: there is no such folder, or a file is missing, damaged, or does not fit the others.

    Source: C. Morris et al. (2020), TUDataset: A collection of benchmark datasets for learning with graphs,
    arXiv:2007.08663.

    """
    looked = places(name, f"tudataset/{name}")
    for place in looked:
        if (place / f"{name}_A.txt").is_file():
            return _read(name, place.resolve())
    where = ", ".join(str(place) for place in looked)
    raise RunError(
        f"{name}: no {name}_A.txt in {where}; unpack the set of https://chrsmrrs.github.io/datasets into a "
        "folder and set POPULACE_DATA to that folder"
    )


@cache
def _read(name: str, folder: Path) -> GraphSet:
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
            raise damaged(file(part), f"has in line {wrong.argmax() + 1} no whole number")
        return values.astype(np.int64)

    owner = whole("graph_indicator")[:, 0]
    labels = whole("graph_labels")[:, 0]
    steps = np.diff(owner, prepend=1)
    wrong = (steps < 0) | (owner < 1) | (owner > len(labels))
    if wrong.any() or not len(owner):
        line = int(wrong.argmax()) if len(owner) else 0
        found = f"graph {owner[line]} in line {line + 1}" if len(owner) else "no lines"
        raise damaged(file("graph_indicator"), f"has {found}, expected 1 to {len(labels)}, never falling")
    arcs = whole("A", columns=2)
    outside = ((arcs < 1) | (arcs > len(owner))).any(axis=1)
    if outside.any():
        line = int(outside.argmax())
        raise damaged(
            file("A"), f"has in line {line + 1} {arcs[line].tolist()}, nodes go from 1 to {len(owner)}"
        )
    sources, targets = arcs.T - 1
    stray = owner[sources] != owner[targets]
    if stray.any():
        raise damaged(file("A"), f"has in line {stray.argmax() + 1} an edge between two graphs")
    features = []
    if file("node_labels").is_file():
        features = [one_hot(np.unique(c, return_inverse=True)[1]) for c in whole("node_labels", len(owner)).T]
    if file("node_attributes").is_file():
        attributes = numbers("node_attributes", len(owner), None)
        if not (finite := np.isfinite(attributes).all(axis=1)).all():
            raise damaged(file("node_attributes"), f"has in line {finite.argmin() + 1} NaN or infinity")
        features.append(attributes.astype(np.float32))
    arc_labels = whole("edge_labels", len(arcs))[:, 0] if file("edge_labels").is_file() else None
    known, y = np.unique(labels, return_inverse=True)
    return read_only(
        GraphSet.joined(
            sources, targets, _offsets(np.bincount(owner - 1, minlength=len(labels))), y,
            x=np.concatenate(features, axis=1) if features else None, arc_labels=arc_labels,
            names=tuple(map(str, known)), name=name,
        )
    )  # fmt: skip


def one_hot(values: np.ndarray, width: int | None = None) -> np.ndarray:
    """Return (N, width) uint8 with a 1 in the column that each value names."""
    return (values[:, None] == np.arange(width or int(values.max(initial=0)) + 1)).astype(np.uint8)


def _offsets(sizes: Any) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
