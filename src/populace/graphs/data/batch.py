"""Many small graphs side by side as one, padded to a fixed shape."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import unknown
from populace.nn.graph.edges import Arcs

READOUTS = ("sum", "mean", "max")


@dataclasses.dataclass(frozen=True)
class BatchShape:
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
