"""A set of graphs in one, and batches of them inside a program."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.data.splits import fold_of
from populace.graphs.data.batch import Batch, BatchShape
from populace.graphs.data.features import SparseFeatures
from populace.graphs.data.graph import Graph
from populace.graphs.data.labels import is_known, labels_of, parts_of
from populace.nn.graph.edges import Arcs, Rows


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
        starts = offsets_of([g.nodes for g in graphs])
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

    def room(self, graphs: int, *, distinct: bool = True) -> BatchShape:
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

        return BatchShape(graphs, most(self.node_offsets) + 1, most(self.arc_offsets))

    def batch(self, indices: Any, room: BatchShape) -> Batch:
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


def one_hot(values: np.ndarray, width: int | None = None) -> np.ndarray:
    """Return (N, width) uint8 with a 1 in the column that each value names."""
    return (values[:, None] == np.arange(width or int(values.max(initial=0)) + 1)).astype(np.uint8)


def offsets_of(sizes: Any) -> np.ndarray:
    """Return where pieces of such sizes begin, and where the last one ends, (n + 1,) int32."""
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
