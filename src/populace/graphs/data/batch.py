"""Batches of small graphs: joined into one disconnected graph, padded to a fixed shape."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import unknown
from populace.nn.graph.edges import EdgeIndex
from populace.nn.primitives.precision import as_given, at_least_float32

READOUTS = ("sum", "mean", "max")


@dataclasses.dataclass(frozen=True)
class BatchShape:
    """The fixed shape that batches are padded to; a constant of the compiled program.

    Args:
        graphs: B, graphs in a batch.
        nodes: P, the largest number of nodes, plus one that padding edges loop at.
        edges: A, the largest number of edges.

    """

    graphs: int
    nodes: int
    edges: int


class Batch(eqx.Module):
    """A batch of graphs as one graph without edges between them, padded to a `BatchShape`.

    Nodes of the first graph come first, then those of the second, and so on; the rest, at least the last
    node, is padding. Padding edges are self-loops of the last node, so they reach no other node.

    Attributes:
        x: (P, F) float32, zeros in padding.
        edges: edge index of size (P, P), with A edges.
        edge_features: (A, D) float32, zeros in padding, or None.
        symmetric_weight: (A,) float32, weights of the normalization `symmetric`, 0 in padding.
        loop_weight: (P,) float32, weights of the self-loops that it adds.
        graph: (P,) int32, index in the batch of each node's graph, B in padding, in ascending order (PyTorch
            Geometric calls this `batch`).
        sizes: (B,) int32, number of nodes of each graph.
        y: (B,) int32 or (B, K) float32, labels of the graphs; 0 for empty slots.
        present: (B,) bool, False for empty slots.

    """

    x: jax.Array
    edges: EdgeIndex
    edge_features: jax.Array | None
    symmetric_weight: jax.Array
    loop_weight: jax.Array
    graph: jax.Array
    sizes: jax.Array
    y: jax.Array
    present: jax.Array

    @property
    def node_mask(self) -> jax.Array:
        """(P,) bool, False in padding."""
        return self.graph < len(self.sizes)

    @property
    def edge_mask(self) -> jax.Array:
        """(A,) bool, False in padding."""
        return jnp.arange(self.edges.count) < self.edges.rows.offsets[-2]

    def readout(self, h: jax.Array, how: str = "sum") -> jax.Array:
        """Pool node features (P, F) over each graph, (B, F); an empty slot gives 0.

        Sum and mean are matrix products with the (B, P) membership matrix: on CPU, over members, this is
        faster than a segment sum, and reproducible.

        Raises:
            UsageError: an unknown `how`.

        """
        if how not in READOUTS:
            raise unknown("readout", how, READOUTS)
        count = len(self.sizes)
        if how == "max":
            top = jax.ops.segment_max(h, self.graph, count + 1, indices_are_sorted=True)[:count]
            return jnp.where((self.sizes > 0)[:, None], top, 0)
        nodes = at_least_float32(h)
        member = (self.graph[None] == jnp.arange(count)[:, None]).astype(nodes.dtype)
        if how == "mean":
            member = member / jnp.maximum(self.sizes, 1).astype(nodes.dtype)[:, None]
        return as_given(jnp.matmul(member, nodes, precision=jax.lax.Precision.HIGHEST), h.dtype)
