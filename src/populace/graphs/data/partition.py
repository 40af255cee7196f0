"""One graph over many devices: rows are shared out, and features that others need are exchanged.

Each part has a run of target nodes with about as many arcs as the others, and the features of these nodes.
What it hears from other parts' nodes, its halo, is sent to it once, in one exchange of all with all, before
every aggregation; the gradient travels back the same way. What comes out equals the undivided result up to
rounding.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from populace.core.errors import UsageError
from populace.graphs.data.graph import Graph
from populace.nn.graph.aggregate import aggregate
from populace.nn.graph.edges import Arcs, Rows

AXIS = "parts"


@dataclass(frozen=True)
class Volume:
    """What one aggregation exchanges.

    Attributes:
        halo: of each part, the rows of other parts that it needs.
        sent: rows in the exchange, all parts together; each pair of parts has room for the largest halo.
        nodes: of the graph.

    """

    halo: tuple[int, ...]
    sent: int
    nodes: int

    def bytes(self, features: int, itemsize: int = 4) -> int:
        """Return the bytes that one forward aggregation of so many features exchanges."""
        return self.sent * features * itemsize

    def __str__(self) -> str:
        needed = sum(self.halo)
        return (
            f"{len(self.halo)} parts need {needed:,} rows of others ({needed / max(self.nodes, 1):.1%} of "
            f"{self.nodes:,} nodes) and exchange {self.sent:,} with padding"
        )


class Partition(eqx.Module):
    """A graph in parts; arrays have the parts P in front.

    Attributes:
        arcs: of each part, from its own nodes and its halo (R + P W sources) to its own nodes and one row of
            padding (R + 1 targets).
        weight: (P, A) float32, 0 in padding.
        send: (P, P, W) int32: `send[p, q]` are the rows of part p that part q needs.
        place: (P, R) int32, which node is in each row; N in padding.
        nodes: N.

    """

    arcs: Arcs
    weight: Any
    send: Any
    place: Any
    nodes: int = eqx.field(static=True)

    @classmethod
    def of(cls, graph: Graph, parts: int) -> Self:
        """Return a graph in so many parts with about as many arcs each.

        Raises:
            UsageError: fewer than one part, or more than nodes.

        """
        count = graph.nodes
        if not 1 <= parts <= max(count, 1):
            raise UsageError(f"{graph.name} has {count} nodes; it has 1 to {count} parts, got {parts}")
        offsets, sources = np.asarray(graph.arcs.rows.offsets), np.asarray(graph.arcs.sources)
        bounds = _bounds(offsets, parts)
        owner = np.searchsorted(bounds, np.arange(count), side="right") - 1
        rows = int(np.diff(bounds).max())
        heard = [np.unique(sources[offsets[a] : offsets[b]]) for a, b in pairwise(bounds)]
        needs = [[h[owner[h] == q] if q != p else h[:0] for q in range(parts)] for p, h in enumerate(heard)]
        width = max(1, max(len(n) for of in needs for n in of))
        send = np.zeros((parts, parts, width), np.int32)
        for p, of in enumerate(needs):
            for q, nodes in enumerate(of):
                send[q, p, : len(nodes)] = nodes - bounds[q]
        most = int(np.diff(offsets[bounds]).max())
        weight = np.ones(len(sources), np.float32) if graph.weight is None else np.asarray(graph.weight)
        pieces, weights = [], []
        for p, (a, b) in enumerate(pairwise(bounds)):
            here = np.full(count + 1, -1, np.int64)  # where each node is in this part's features
            here[a:b] = np.arange(b - a)
            for q, nodes in enumerate(needs[p]):
                here[nodes] = rows + q * width + np.arange(len(nodes))
            own = slice(offsets[a], offsets[b])
            fill = most - (own.stop - own.start)
            s = np.concatenate([here[sources[own]], np.zeros(fill, np.int64)])
            t = np.concatenate([np.asarray(graph.arcs.targets)[own] - a, np.full(fill, rows)])
            arcs, places = Arcs.of(s, t, (rows + 1, rows + parts * width))
            pieces.append(arcs)
            weights.append(np.concatenate([weight[own], np.zeros(fill, np.float32)])[places])
        place = np.full((parts, rows), count, np.int32)
        for p, (a, b) in enumerate(pairwise(bounds)):
            place[p, : b - a] = np.arange(a, b)
        stacked = jax.tree.map(lambda *x: np.stack(x), *[_filled(arcs) for arcs in pieces])
        return cls(stacked, np.stack(weights), send, place, count)

    @property
    def parts(self) -> int:
        """P."""
        return self.place.shape[0]

    @property
    def volume(self) -> Volume:
        """What one aggregation exchanges."""
        sources = np.asarray(self.arcs.sources)
        rows = self.place.shape[1]
        halo = tuple(int((np.unique(s) >= rows).sum()) for s in sources)
        return Volume(halo, self.parts * (self.parts - 1) * self.send.shape[2], self.nodes)

    def mesh(self) -> Mesh:
        """Return a mesh of the first P devices.

        Raises:
            UsageError: there are fewer.

        """
        devices = jax.devices()
        if len(devices) < self.parts:
            raise UsageError(f"{self.parts} parts need as many devices, there are {len(devices)}")
        return Mesh(np.asarray(devices[: self.parts]), (AXIS,))

    def divided(self, x: jax.Array) -> jax.Array:
        """Return node features (N, F) as rows of the parts, (P, R, F), zeros in padding."""
        padded = jnp.concatenate([x, jnp.zeros((1, *x.shape[1:]), x.dtype)])
        return padded[self.place]

    def joined(self, rows: jax.Array) -> jax.Array:
        """Return rows of the parts (P, R, F) as node features (N, F)."""
        flat = rows.reshape(-1, *rows.shape[2:])
        return flat[jnp.asarray(np.argsort(np.asarray(self.place).ravel(), kind="stable")[: self.nodes])]

    def aggregate(self, x: jax.Array, mesh: Mesh) -> jax.Array:
        """Return what every node receives, (P, R, F), the weighted sum over the arcs into it.

        Args:
            x: (P, R, F), as `divided` makes it.
            mesh: with an axis `parts` of P devices, such as `mesh()`.

        Raises:
            UsageError: a mesh of another size, rows of another shape.

        """
        if mesh.shape.get(AXIS) != self.parts:
            raise UsageError(
                f"the mesh needs an axis '{AXIS}' of {self.parts} devices, got {dict(mesh.shape)}"
            )
        if x.ndim != 3 or x.shape[:2] != self.place.shape:
            raise UsageError(f"x has shape {x.shape}, expected {(*self.place.shape, 'F')}; see divided")
        spec = PartitionSpec(AXIS)
        program = jax.shard_map(_aggregate, mesh=mesh, in_specs=spec, out_specs=spec)
        return program(self.arcs, jnp.asarray(self.weight), jnp.asarray(self.send), x)


def _aggregate(arcs: Arcs, weight: jax.Array, send: jax.Array, x: jax.Array) -> jax.Array:
    """Return one part's sums; every array has an axis of one in front."""
    arcs, weight, send, x = jax.tree.map(lambda a: a[0], (arcs, weight, send, x))
    received = jax.lax.all_to_all(x[send], AXIS, 0, 0)
    features = jnp.concatenate([x, received.reshape(-1, x.shape[1])])
    return aggregate(arcs, features, "sum", weight)[None, : len(x)]


def _bounds(offsets: np.ndarray, parts: int) -> np.ndarray:
    """Return where parts begin, (P + 1,): arcs and nodes balanced, no part without a node."""
    nodes = len(offsets) - 1
    load = offsets + np.arange(nodes + 1)  # a node costs something even without arcs
    inner = np.searchsorted(load, load[-1] * np.arange(1, parts) / parts)
    inner = np.maximum(inner, np.arange(1, parts))
    bounds = np.concatenate([[0], inner, [nodes]])
    for p in range(parts - 1, 0, -1):
        bounds[p] = min(bounds[p], bounds[p + 1] - 1)
    return np.maximum.accumulate(bounds)


def _filled(arcs: Arcs) -> Arcs:
    """Return arcs whose rows name their order, so that arrays of all parts stack."""
    return Arcs(arcs.sources, arcs.targets, Rows(arcs.rows.offsets, arcs.sources, None), arcs.back)
