"""Networks whose inputs are standardized: by mean and deviation of training nodes or graphs alone."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.graphs.data.batch import Batch
from populace.graphs.data.graph import Graph
from populace.graphs.models.node_network import takes_edge_features
from populace.nn.primitives.buffer import Buffer


class Scaler(eqx.Module):
    """`(x - mean) / deviation` of each feature; one that is 0 or 1 where it was looked at stays as it is.

    Attributes:
        mean: (F,).
        deviation: (F,), 1 for a feature that does not vary.

    """

    mean: Buffer
    deviation: Buffer

    def __init__(self, x: jax.Array, counted: jax.Array) -> None:
        """Take mean and deviation of the rows of x (n, F) that count, (n,) bool."""
        width = x.shape[1]
        mean, deviation = jnp.zeros(width), jnp.ones(width)
        if len(x):
            x, here = x.astype(jnp.float32), counted[:, None]
            rows = jnp.maximum(jnp.sum(counted), 1)
            # The mean of equal numbers is rounded: their differences from one of them are exactly 0.
            one = x[jnp.argmax(counted)]
            off = jnp.where(here, x - one, 0.0)
            between = jnp.sum(off, 0) / rows
            variance = jnp.sum(jnp.where(here, (off - between) ** 2, 0.0), 0) / rows
            kinds = jnp.all(~here | (x == 0) | (x == 1), 0)
            mean = jnp.where(kinds, mean, one + between)
            deviation = jnp.where(kinds | (variance == 0), deviation, jnp.sqrt(variance))
        self.mean, self.deviation = Buffer(mean), Buffer(deviation)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the rows (n, F) standardized."""
        return (x - self.mean.value) / self.deviation.value


def scalers(data: Any, nodes: jax.Array, edges: jax.Array) -> tuple[Scaler, Scaler | None]:
    """Return scalers of the features of nodes, and of edges where there are any.

    Args:
        data: a graph or a set of them.
        nodes: (N,) bool, those that count.
        edges: (E,) bool; loops among them do not count: their features may be means that were filled in, and
            would hide that others are 0 or 1.

    """
    of_nodes = Scaler(jnp.asarray(data.x), nodes)
    if data.edge_features is None:
        return of_nodes, None
    apart = jnp.asarray(data.edges.sources) != jnp.asarray(data.edges.targets)
    return of_nodes, Scaler(jnp.asarray(data.edge_features), edges & apart)


class StandardizedNodes(eqx.Module):
    """A network over the nodes of a graph, whose features are standardized first."""

    network: Any
    nodes: Scaler
    edges: Scaler | None

    @property
    def layers(self) -> Any:
        """The network's own."""
        return self.network.layers

    def __call__(
        self, x: Any, edges: Any, weight: Any = None, edge_features: Any = None, *, key: Any = None
    ) -> jax.Array:
        """Return (N, outputs)."""
        x = self.nodes(x)
        if edge_features is None or self.edges is None or not takes_edge_features(self.network):
            return self.network(x, edges, weight, key=key)
        return self.network(x, edges, weight, self.edges(edge_features), key=key)


class StandardizedGraphs(eqx.Module):
    """A network over batches of graphs, whose features are standardized first; padding stays 0."""

    network: Any
    nodes: Scaler
    edges: Scaler | None

    def scaled(self, batch: Batch) -> Batch:
        """Return a batch as the network takes it."""
        x = jnp.where(batch.node_mask[:, None], self.nodes(batch.x), 0.0)
        batch = eqx.tree_at(lambda b: b.x, batch, x)
        if batch.edge_features is None or self.edges is None:
            return batch
        features = jnp.where(batch.edge_mask[:, None], self.edges(batch.edge_features), 0.0)
        return eqx.tree_at(lambda b: b.edge_features, batch, features)

    def __call__(self, batch: Batch) -> jax.Array:
        """Return (B, outputs) as it is in use."""
        return self.network(self.scaled(batch))

    def learn(self, batch: Batch, key: jax.Array) -> tuple[jax.Array, "StandardizedGraphs"]:
        """Return (B, outputs) as it is in training, and the network after it."""
        outputs, network = learn(self.network, self.scaled(batch), key)
        return outputs, eqx.tree_at(lambda s: s.network, self, network)


def learn(network: Any, batch: Batch, key: jax.Array) -> tuple[jax.Array, Any]:
    """Return a batch's outputs in training, and the network after it: by its `learn`, if it has one."""
    return network.learn(batch, key) if hasattr(network, "learn") else (network(batch), network)


def unwrapped(graph: Graph, network: Any) -> tuple[Graph, Any]:
    """Return a graph with the features that a network's own first layer takes, and that network."""
    if not isinstance(network, StandardizedNodes):
        return graph, network

    def scaled(scaler: Scaler | None, values: Any) -> Any:  # by NumPy: eager operations are a program each
        if scaler is None or values is None:
            return values
        return (values - np.asarray(scaler.mean.value)) / np.asarray(scaler.deviation.value)

    x, features = scaled(network.nodes, graph.x), scaled(network.edges, graph.edge_features)
    return dataclasses.replace(graph, x=x, edge_features=features), network.network
