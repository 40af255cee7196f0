"""Networks over the nodes of a graph, as settings."""

import itertools
from abc import abstractmethod
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from populace.core.settings import Settings, setting
from populace.graphs.data.normalization import NORMALIZATIONS
from populace.graphs.models.node_network import (
    Dense,
    NodeNetwork,
    Perceptron,
    Predict,
    Propagation,
    check_has_edge_features,
)
from populace.nn.graph.graph_attention import GATConv, GATv2Conv
from populace.nn.graph.graph_conv import GINConv, GINEConv, GraphConv, SAGEConv
from populace.nn.modules.activations import ACTIVATIONS
from populace.nn.primitives.buffer import Buffer


class NodeNetworkConfig(Settings):
    """Configuration of a network over nodes; `build` makes the network."""

    takes_edge_features: ClassVar[bool] = False
    """Whether features of edges, where there are any, have weights."""

    normalization: str = setting(
        "symmetric",
        choices=NORMALIZATIONS,
        help="normalization of the adjacency matrix; see docs/graphs.md#matrices",
    )
    hidden_sizes: tuple[int, ...] = setting((16,), low=1, help="features of each hidden layer, per head")
    activation: str = setting("relu", choices=tuple(ACTIVATIONS), help="hidden activation")
    dropout: float = setting(0.5, low=0, high=0.99, help="dropout rate of each layer's input")

    def build(self, inputs: int, outputs: int, *, edge_inputs: int = 0, key: jax.Array) -> NodeNetwork:
        """Return a network from (N, inputs), and features of edges (E, edge_inputs), to (N, outputs)."""
        sizes = [inputs, *self.hidden_sizes, outputs]
        pairs = itertools.pairwise(sizes)
        layers = [self.layer(a, b, jax.random.fold_in(key, i), edge_inputs) for i, (a, b) in enumerate(pairs)]
        return NodeNetwork(layers, self.dropout, self.activation, normalization=self.normalization)

    @abstractmethod
    def layer(self, inputs: int, outputs: int, key: jax.Array, edge_inputs: int = 0) -> Any:
        """Return one layer; of those that know no features of edges, `edge_inputs` changes nothing."""


class GCN(NodeNetworkConfig):
    """Graph convolutional network: `h <- A drop(h) W + b` (Kipf and Welling 2017)."""

    kind: ClassVar[str] = "gcn"

    def layer(self, inputs: int, outputs: int, key: jax.Array, edge_inputs: int = 0) -> GraphConv:
        """Return one layer."""
        return GraphConv(inputs, outputs, key=key)


class SGC(NodeNetworkConfig):
    """Simple graph convolution: `A^hops x W + b`, no hidden layer (Wu et al. 2019)."""

    kind: ClassVar[str] = "sgc"
    hidden_sizes: tuple[int, ...] = setting((), low=1, help="features of each hidden layer; [] in the paper")
    dropout: float = setting(0.0, low=0, high=0.99, help="dropout rate of each layer's input")
    hops: int = setting(2, low=1, help="propagation steps in each layer")

    def layer(self, inputs: int, outputs: int, key: jax.Array, edge_inputs: int = 0) -> GraphConv:
        """Return one layer."""
        return GraphConv(inputs, outputs, hops=self.hops, key=key)


class SAGE(NodeNetworkConfig):
    """GraphSAGE: `h <- W_self h + W_around how_j h_j + b` (Hamilton et al. 2017)."""

    kind: ClassVar[str] = "sage"
    normalization: str = setting("none", choices=NORMALIZATIONS, help="normalization of the adjacency matrix")
    how: str = setting("mean", choices=("mean", "sum", "max"), help="aggregation over the neighbors")

    def layer(self, inputs: int, outputs: int, key: jax.Array, edge_inputs: int = 0) -> SAGEConv:
        """Return one layer."""
        return SAGEConv(inputs, outputs, how=self.how, key=key)


class GIN(NodeNetworkConfig):
    """Graph isomorphism network: `h <- MLP((1 + eps) h + sum_j h_j)`, eps learned (Xu et al. 2019)."""

    kind: ClassVar[str] = "gin"
    normalization: str = setting("none", choices=NORMALIZATIONS, help="normalization of the adjacency matrix")

    def layer(self, inputs: int, outputs: int, key: jax.Array, edge_inputs: int = 0) -> GINConv | GINEConv:
        """Return one layer, with an MLP of one hidden layer."""
        return GINConv(self.perceptron(inputs, outputs, jax.random.split(key)), learn_eps=True)

    def perceptron(self, inputs: int, outputs: int, keys: jax.Array) -> Perceptron:
        """Return the MLP of a layer."""
        width = max(
            inputs if inputs <= max(self.hidden_sizes, default=outputs) else 0, *self.hidden_sizes, outputs
        )
        return Perceptron((Dense(inputs, width, key=keys[0]), Dense(width, outputs, key=keys[1])))


class GINE(GIN):
    """GIN with edge features: `h <- MLP((1 + eps) h + sum_j relu(h_j + W e_j + b))` (Hu et al. 2020)."""

    kind: ClassVar[str] = "gine"
    takes_edge_features: ClassVar[bool] = True

    def layer(self, inputs: int, outputs: int, key: jax.Array, edge_inputs: int = 0) -> GINEConv:
        """Return one layer, with an MLP of one hidden layer."""
        check_has_edge_features(edge_inputs)
        keys = jax.random.split(key, 3)
        perceptron = self.perceptron(inputs, outputs, keys)
        return GINEConv(perceptron, inputs, edge_inputs, learn_eps=True, key=keys[2])


class APPNP(NodeNetworkConfig):
    """`softmax` of what an MLP says of each node, spread by personalized PageRank (Klicpera et al. 2019)."""

    kind: ClassVar[str] = "appnp"
    hidden_sizes: tuple[int, ...] = setting((64,), low=1, help="features of each hidden layer")
    hops: int = setting(10, low=1, help="propagation steps")
    restart: float = setting(0.1, above=0, high=1, help="teleport probability alpha")

    def build(self, inputs: int, outputs: int, *, edge_inputs: int = 0, key: jax.Array) -> NodeNetwork:
        """Return a network from (N, inputs) to (N, outputs)."""
        network = super().build(inputs, outputs, key=key)
        spread = Propagation(Buffer(jnp.asarray(self.restart, jnp.float32)), self.hops)
        last = Predict(network.layers[-1], spread)
        layers = [*network.layers[:-1], last]
        return NodeNetwork(layers, self.dropout, self.activation, normalization=self.normalization)

    def layer(self, inputs: int, outputs: int, key: jax.Array, edge_inputs: int = 0) -> Dense:
        """Return one layer of the MLP."""
        return Dense(inputs, outputs, key=key)


class GAT(NodeNetworkConfig):
    """Graph attention network (Velickovic et al. 2018); `second` scores as GATv2 (Brody et al. 2022).

    Where edges have features, they have a part in the scores.
    """

    kind: ClassVar[str] = "gat"
    takes_edge_features: ClassVar[bool] = True
    normalization: str = setting(
        "self-loops",
        choices=NORMALIZATIONS,
        help="normalization of the adjacency matrix; only its self-loops matter",
    )
    hidden_sizes: tuple[int, ...] = setting((8,), low=1, help="features of each hidden layer, per head")
    activation: str = setting("elu", choices=tuple(ACTIVATIONS), help="hidden activation")
    dropout: float = setting(0.6, low=0, high=0.99, help="dropout rate of each layer's input")
    attention_dropout: float = setting(0.6, low=0, high=0.99, help="dropout rate of the attention weights")
    heads: int = setting(8, low=1, help="heads of hidden layers, concatenated")
    last_heads: int = setting(1, low=1, help="heads of the last layer, averaged")
    second: bool = setting(False, help="use GATv2's dynamic attention")

    def build(self, inputs: int, outputs: int, *, edge_inputs: int = 0, key: jax.Array) -> NodeNetwork:
        """Return a network from (N, inputs), and features of edges (E, edge_inputs), to (N, outputs)."""
        layers: list[Any] = []
        conv = GATv2Conv if self.second else GATConv
        for i, size in enumerate(self.hidden_sizes):
            own = jax.random.fold_in(key, i)
            layers.append(conv(inputs, size, self.heads, edge_inputs=edge_inputs, key=own))
            inputs = size * self.heads
        last = jax.random.fold_in(key, len(self.hidden_sizes))
        heads: Any = {"join": "mean", "edge_inputs": edge_inputs}
        layers.append(conv(inputs, outputs, self.last_heads, **heads, key=last))
        rates = self.attention_dropout, self.normalization
        return NodeNetwork(layers, self.dropout, self.activation, *rates)

    def layer(self, inputs: int, outputs: int, key: jax.Array, edge_inputs: int = 0) -> GATConv:
        """Return one hidden layer."""
        return GATConv(inputs, outputs, self.heads, edge_inputs=edge_inputs, key=key)
