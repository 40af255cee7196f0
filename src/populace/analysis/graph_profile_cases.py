"""Profile cases of graph layers, on a graph of n nodes with eight incoming edges each.

Nodes are numbered at random, so that neighbors are not adjacent in memory.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.nn.graph.edges import EdgeIndex
from populace.nn.graph.graph_attention import GATConv, GATv2Conv
from populace.nn.graph.graph_conv import GINConv, GraphConv, SAGEConv, personalized_pagerank

DEGREE, HEADS, HOPS, STEPS = 8, 4, 2, 10


class _Weighed(eqx.Module):
    """A layer over weighted edges; the weights are data and have no gradient."""

    layer: Callable[..., Any]

    def __call__(self, x: jax.Array, edges: EdgeIndex, weight: jax.Array) -> jax.Array:
        return self.layer(x, edges, jax.lax.stop_gradient(weight))


def build(kind: str, features: int, n: int, *, key: jax.Array) -> tuple[Any, tuple[Any, ...]]:
    """Return a layer with equal input and output width, and its arguments on n nodes.

    Raises:
        UsageError: n is not larger than the number of incoming edges per node.

    """
    edges = edges_of(n)
    layer_key, x_key = jax.random.split(key)
    x, width = jax.random.normal(x_key, (n, features)), features // HEADS
    if kind == "gat":
        return GATConv(features, width, HEADS, key=layer_key), (x, edges)
    if kind == "gatv2":
        return GATv2Conv(features, width, HEADS, key=layer_key), (x, edges)
    if kind == "gin":
        mlp = eqx.nn.MLP(features, features, features, depth=1, key=layer_key)
        return GINConv(eqx.filter_vmap(mlp), learn_eps=True), (x, edges)
    if kind == "graphsage":
        return SAGEConv(features, features, key=layer_key), (x, edges)
    layers = {
        "gcn": lambda: GraphConv(features, features, key=layer_key),
        "sgc": lambda: GraphConv(features, features, hops=HOPS, key=layer_key),
        "appnp": lambda: _appnp,
    }
    return _Weighed(layers[kind]()), (x, edges, jnp.full(n * DEGREE, 1 / DEGREE))


def edges_of(n: int) -> EdgeIndex:
    """Return a regular graph: `DEGREE` incoming edges for each of n nodes, the same in every call.

    Raises:
        UsageError: n is not larger than `DEGREE`.

    """
    if n <= DEGREE:
        raise UsageError(f"graph layers: size must be above {DEGREE} nodes, each has {DEGREE} edges, got {n}")
    rng = np.random.default_rng(0)
    # Sources are at different distances along a ring of nodes, so no edge is repeated.
    steps, numbers = 1 + rng.permutation(n - 1)[:DEGREE], rng.permutation(n)
    places = np.arange(n)[:, None]
    sources, targets = numbers[(places + steps) % n], np.repeat(numbers, DEGREE)
    return jax.tree.map(jnp.asarray, EdgeIndex.of(sources.ravel(), targets, (n, n))[0])


def _appnp(x: jax.Array, edges: EdgeIndex, weight: jax.Array) -> jax.Array:
    return personalized_pagerank(x, edges, weight, hops=STEPS)
