"""One graph across several devices: each holds some of the nodes, and receives features of others as needed.

Each part owns a contiguous range of target nodes, chosen so that parts have about equally many edges. The
features it needs from nodes of other parts, its halo, arrive in one all-to-all exchange before every
aggregation; gradients return the same way. The result equals the undivided one up to rounding.
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
from populace.nn.graph.edges import EdgeIndex, Rows

AXIS = "parts"


@dataclass(frozen=True)
class Volume:
    """Communication volume of one aggregation.

    Attributes:
        halo: for each part, the number of rows it needs from other parts.
        sent: rows exchanged by all parts together; every pair of parts is padded to the largest halo.
        nodes: number of nodes of the graph.

    """

    halo: tuple[int, ...]
    sent: int
    nodes: int

    def bytes(self, features: int, itemsize: int = 4) -> int:
        """Return the bytes exchanged by the forward pass of one aggregation of that many features."""
        return self.sent * features * itemsize

    def __str__(self) -> str:
        needed = sum(self.halo)
        return (
            f"{len(self.halo)} parts need {needed:,} rows of other parts ({needed / max(self.nodes, 1):.1%} "
            f"of {self.nodes:,} nodes) and exchange {self.sent:,} rows with padding"
        )


class Partition(eqx.Module):
    """A graph in P parts; arrays have a leading axis of size P.

    Attributes:
        edges: for each part, from its own nodes and its halo (R + P W sources) to its own nodes and one row
            of padding (R + 1 targets).
        weight: (P, E) float32, 0 in padding.
        send: (P, P, W) int32: `send[p, q]` holds the rows of part p that part q needs.
        place: (P, R) int32, the node in each row; N in padding.
        nodes: N.

    """

    edges: EdgeIndex
    weight: Any
    send: Any
    place: Any
    nodes: int = eqx.field(static=True)

    @classmethod
    def of(cls, graph: Graph, parts: int) -> Self:
        """Partition a graph into parts with about equally many edges.

        Raises:
            UsageError: fewer than one part, or more parts than nodes.

        """
        count = graph.nodes
        if not 1 <= parts <= max(count, 1):
            raise UsageError(f"{graph.name} has {count} nodes; parts must be 1 to {count}, got {parts}")
        offsets, sources = np.asarray(graph.edges.rows.offsets), np.asarray(graph.edges.sources)
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
            here = np.full(count + 1, -1, np.int64)  # row of each node in this part's features
            here[a:b] = np.arange(b - a)
            for q, nodes in enumerate(needs[p]):
                here[nodes] = rows + q * width + np.arange(len(nodes))
            own = slice(offsets[a], offsets[b])
            fill = most - (own.stop - own.start)
            s = np.concatenate([here[sources[own]], np.zeros(fill, np.int64)])
            t = np.concatenate([np.asarray(graph.edges.targets)[own] - a, np.full(fill, rows)])
            edges, places = EdgeIndex.of(s, t, (rows + 1, rows + parts * width))
            pieces.append(edges)
            weights.append(np.concatenate([weight[own], np.zeros(fill, np.float32)])[places])
        place = np.full((parts, rows), count, np.int32)
        for p, (a, b) in enumerate(pairwise(bounds)):
            place[p, : b - a] = np.arange(a, b)
        stacked = jax.tree.map(lambda *x: np.stack(x), *[_filled(edges) for edges in pieces])
        return cls(stacked, np.stack(weights), send, place, count)

    @property
    def parts(self) -> int:
        """Number of parts, P."""
        return self.place.shape[0]

    @property
    def volume(self) -> Volume:
        """Communication volume of one aggregation."""
        sources = np.asarray(self.edges.sources)
        rows = self.place.shape[1]
        halo = tuple(int((np.unique(s) >= rows).sum()) for s in sources)
        return Volume(halo, self.parts * (self.parts - 1) * self.send.shape[2], self.nodes)

    def mesh(self) -> Mesh:
        """Return a mesh of the first P devices.

        Raises:
            UsageError: fewer devices than parts.

        """
        devices = jax.devices()
        if len(devices) < self.parts:
            raise UsageError(f"{self.parts} parts need {self.parts} devices, but there are {len(devices)}")
        return Mesh(np.asarray(devices[: self.parts]), (AXIS,))

    def divided(self, x: jax.Array) -> jax.Array:
        """Return node features (N, F) divided among the parts, (P, R, F), with zeros in padding."""
        padded = jnp.concatenate([x, jnp.zeros((1, *x.shape[1:]), x.dtype)])
        return padded[self.place]

    def joined(self, rows: jax.Array) -> jax.Array:
        """Return the rows of the parts (P, R, F) joined into node features (N, F)."""
        flat = rows.reshape(-1, *rows.shape[2:])
        return flat[jnp.asarray(np.argsort(np.asarray(self.place).ravel(), kind="stable")[: self.nodes])]

    def aggregate(self, x: jax.Array, mesh: Mesh) -> jax.Array:
        """Return the weighted sum over the edges into each node, (P, R, F).

        Args:
            x: (P, R, F), as returned by `divided`.
            mesh: a mesh with an axis `parts` of P devices, such as `mesh()`.

        Raises:
            UsageError: a mesh of another size, or rows of another shape.

        """
        if mesh.shape.get(AXIS) != self.parts:
            raise UsageError(
                f"the mesh needs an axis '{AXIS}' of {self.parts} devices, got {dict(mesh.shape)}"
            )
        if x.ndim != 3 or x.shape[:2] != self.place.shape:
            raise UsageError(f"x has shape {x.shape}, expected {(*self.place.shape, 'F')}; see divided")
        spec = PartitionSpec(AXIS)
        program = jax.shard_map(_aggregate, mesh=mesh, in_specs=spec, out_specs=spec)
        return program(self.edges, jnp.asarray(self.weight), jnp.asarray(self.send), x)


def _aggregate(edges: EdgeIndex, weight: jax.Array, send: jax.Array, x: jax.Array) -> jax.Array:
    """Aggregate one part; every array has a leading axis of size 1."""
    edges, weight, send, x = jax.tree.map(lambda a: a[0], (edges, weight, send, x))
    received = jax.lax.all_to_all(x[send], AXIS, 0, 0)
    features = jnp.concatenate([x, received.reshape(-1, x.shape[1])])
    return aggregate(edges, features, "sum", weight)[None, : len(x)]


def _bounds(offsets: np.ndarray, parts: int) -> np.ndarray:
    """Return the boundaries of the parts, (P + 1,), with edges and nodes balanced and no part empty."""
    nodes = len(offsets) - 1
    load = offsets + np.arange(nodes + 1)  # a node without edges is not free
    inner = np.searchsorted(load, load[-1] * np.arange(1, parts) / parts)
    inner = np.maximum(inner, np.arange(1, parts))
    bounds = np.concatenate([[0], inner, [nodes]])
    for p in range(parts - 1, 0, -1):
        bounds[p] = min(bounds[p], bounds[p + 1] - 1)
    return np.maximum.accumulate(bounds)


def _filled(edges: EdgeIndex) -> EdgeIndex:
    """Return the edges in a form whose arrays can be stacked over the parts."""
    return EdgeIndex(edges.sources, edges.targets, Rows(edges.rows.offsets, edges.sources, None), edges.back)
