"""Graphs of a set gathered into a batch, inside a compiled program."""

from typing import Any

import jax
import jax.numpy as jnp

from populace.graphs.data.batch import Batch, BatchShape
from populace.nn.graph.edges import EdgeIndex, Rows


def gathered(graphs: Any, indices: Any, shape: BatchShape) -> Batch:
    """Return a batch of graphs of a `GraphSet`; see its `batch`."""
    present = indices >= 0
    chosen = jnp.where(present, indices, 0)
    node_of, first_node, sizes, fits = _places(
        graphs.node_offsets, chosen, present, shape.nodes - 1, shape.nodes
    )
    edge_of, first_edge, _, edges_fit = _places(
        graphs.edge_offsets, chosen, present, shape.edges, shape.edges
    )
    last, edge_count = shape.nodes - 1, first_edge[-1]
    node, edge = jnp.arange(shape.nodes), jnp.arange(shape.edges)
    # Index of a graph's first node and edge in the set, minus its index in the batch.
    to_node = jnp.append(jnp.asarray(graphs.node_offsets)[chosen] - first_node[:-1], 0)
    to_edge = jnp.append(jnp.asarray(graphs.edge_offsets)[chosen] - first_edge[:-1], 0)
    in_node, in_edge = node_of < shape.graphs, edge_of < shape.graphs
    old_node = jnp.where(in_node, node + to_node[node_of], 0)
    old_edge = jnp.where(in_edge, edge + to_edge[edge_of], 0)

    def ends(column: Any) -> jax.Array:
        return jnp.where(in_edge, jnp.asarray(column)[old_edge] - to_node[edge_of], last).astype(jnp.int32)

    def offsets(rows: Rows) -> jax.Array:
        found = jnp.asarray(rows.offsets)[old_node] - to_edge[node_of]
        return jnp.append(jnp.where(in_node, found, edge_count), shape.edges).astype(jnp.int32)

    def at(values: Any, places: jax.Array, where: jax.Array) -> jax.Array:
        found = jnp.asarray(values)[places]
        return jnp.where(where.reshape(-1, *[1] * (found.ndim - 1)), found, 0)

    sources, order = (
        ends(graphs.edges.sources),
        jnp.asarray(graphs.edges.back.order)[old_edge] - to_edge[edge_of],
    )
    order = jnp.where(in_edge, order, edge).astype(jnp.int32)
    edges = EdgeIndex(
        sources, ends(graphs.edges.targets), Rows(offsets(graphs.edges.rows), sources, None),
        Rows(offsets(graphs.edges.back), ends(graphs.edges.back.columns), order),
    )  # fmt: skip
    x = at(graphs.x, old_node, in_node).astype(jnp.float32)
    return Batch(
        jnp.where(fits & edges_fit, x, jnp.nan), edges,
        None if graphs.edge_features is None
        else at(graphs.edge_features, old_edge, in_edge).astype(jnp.float32),
        at(graphs.symmetric_weight, old_edge, in_edge), at(graphs.loop_weight, old_node, in_node),
        node_of, sizes, at(graphs.y, chosen, present), present,
    )  # fmt: skip


def _places(
    offsets: Any, chosen: jax.Array, present: jax.Array, limit: int, width: int
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Return the graph of each place, offsets of the graphs (B + 1,), their sizes, and whether they fit."""
    sizes = jnp.where(present, jnp.diff(jnp.asarray(offsets))[chosen], 0).astype(jnp.int32)
    ends = jnp.cumsum(sizes)
    # The graph of a place is the number of graphs that end before it.
    owner = jnp.cumsum(jnp.zeros(width, jnp.int32).at[ends].add(1, mode="drop"))
    return owner, jnp.append(0, ends), sizes, ends[-1] <= limit
