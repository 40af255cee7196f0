"""A network over the nodes of a graph, and the layers of it that are no graph convolution."""

import inspect
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.graphs.data.features import SparseFeatures
from populace.graphs.data.graph import Graph
from populace.nn.graph.edges import EdgeIndex
from populace.nn.graph.graph_attention import GATConv, GATv2Conv
from populace.nn.graph.graph_conv import GINEConv, glorot, personalized_pagerank
from populace.nn.modules.activations import ACTIVATIONS
from populace.nn.modules.dropout import dropped
from populace.nn.primitives.buffer import Buffer


class NodeNetwork(eqx.Module):
    """Layers one after the other: `h <- layer(drop(h))`, with an activation between two of them.

    Attributes:
        layers: each called as `layer(h, edges, weight)`; attention and GINE as `layer(h, edges, features)`.
        rate: share of the features of a layer that are dropped in training.
        attention_rate: share of the attention that is.
        activation: its name.
        normalization: of the graphs it takes; see `Graph.normalized`. Empty where it does not matter.

    """

    layers: tuple[Any, ...]
    rate: Buffer
    attention_rate: Buffer
    activation: str = eqx.field(static=True)
    normalization: str = eqx.field(static=True)

    def __init__(
        self, layers: Any, rate: Any, activation: str, attention_rate: Any = 0.0, normalization: str = ""
    ) -> None:
        self.layers, self.activation, self.normalization = tuple(layers), activation, normalization
        self.rate = Buffer(jnp.asarray(rate, jnp.float32))
        self.attention_rate = Buffer(jnp.asarray(attention_rate, jnp.float32))

    def __call__(
        self, x: Any, edges: EdgeIndex, weight: Any = None, edge_features: Any = None,
        *, key: jax.Array | None = None,
    ) -> jax.Array:  # fmt: skip
        """Return (N, outputs): in training where there is a key, in use where there is none."""
        for i, layer in enumerate(self.layers):
            if i:
                x = ACTIVATIONS[self.activation](x)
            own = None if key is None else jax.random.split(jax.random.fold_in(key, i))
            if own is not None:
                x = drop(x, self.rate.value, own[0])
            if isinstance(layer, GATConv | GATv2Conv):
                rate = 0.0 if own is None else self.attention_rate.value
                x = layer(x, edges, edge_features, rate=rate, key=None if own is None else own[1])
            elif isinstance(layer, GINEConv):
                x = layer(x, edges, edge_features)
            else:
                x = layer(x, edges, weight)
        return x


class Dense(eqx.Module):
    """`y = x W + b` for each node by itself; edges are not looked at."""

    weight: jax.Array
    bias: jax.Array | None

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True, key: jax.Array) -> None:
        self.weight, self.bias = glorot(key, inputs, outputs), jnp.zeros(outputs) if bias else None

    def __call__(self, x: Any, edges: Any = None, weight: Any = None) -> jax.Array:
        """Return (N, outputs)."""
        del edges, weight
        y = x @ self.weight
        return y if self.bias is None else y + self.bias


class Propagation(eqx.Module):
    """The step of APPNP as a layer: see `populace.nn.graph.graph_conv.personalized_pagerank`."""

    restart: Buffer
    hops: int = eqx.field(static=True)

    def __call__(self, x: Any, edges: EdgeIndex, weight: Any = None) -> jax.Array:
        """Return (N, outputs)."""
        return personalized_pagerank(x, edges, weight, hops=self.hops, restart=self.restart.value)


def drop(x: Any, rate: jax.Array, key: jax.Array) -> Any:
    """Return features with some dropped and the others scaled up; of sparse ones only what is there."""
    if isinstance(x, SparseFeatures):
        return SparseFeatures(x.edges, dropped(jnp.asarray(x.values), rate, key))
    return dropped(x, rate, key)


class Perceptron(eqx.Module):
    """`W_2 relu(W_1 x + b_1) + b_2` of each node."""

    parts: tuple[Dense, ...]

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return (N, outputs)."""
        first, second = self.parts
        return second(jax.nn.relu(first(x)))


class Predict(eqx.Module):
    """Predict, then propagate: a dense layer and a spreading with nothing in between."""

    dense: Dense
    spread: Propagation

    def __call__(self, x: Any, edges: EdgeIndex, weight: Any = None) -> jax.Array:
        """Return (N, outputs)."""
        return self.spread(self.dense(x), edges, weight)


def check_prepared(graph: Graph, network: Any) -> None:
    """Raise a `UsageError` unless a graph has the normalization that a network was trained with.

    Of a network of the user's own nobody knows which: then any does.
    """
    wanted = getattr(network, "normalization", "")
    if graph.normalization and graph.normalization == (wanted or graph.normalization):
        return
    found = f"normalized as '{graph.normalization}'" if graph.normalization else "as it was given"
    asked = f"normalized('{wanted}')" if wanted else "a graph that is normalized"
    raise UsageError(
        f"{graph.name} is {found}, but the network takes {asked}; learner.explain(model, node) prepares it"
    )


def check_has_edge_features(edge_inputs: int) -> None:
    """Raise a `UsageError` for a network that needs features of edges where there are none."""
    if not edge_inputs:
        raise UsageError(
            "network gine needs features of edges, and there are none; take gin, or give edge_features"
        )


def takes_edge_features(network: Any) -> bool:
    """Return whether a network over nodes can be called with features of edges."""
    return "edge_features" in inspect.signature(network.__call__).parameters


def on_graph(network: Any, x: Any, graph: Graph, key: jax.Array | None = None) -> jax.Array:
    """Return a network's outputs (N, K) for a graph; features of edges go to those that take them."""
    if graph.edge_features is None or not takes_edge_features(network):
        return network(x, graph.edges, graph.weight, key=key)
    features = jnp.asarray(graph.edge_features, jnp.float32)
    return network(x, graph.edges, graph.weight, features, key=key)
