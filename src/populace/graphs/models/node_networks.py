"""Networks over the nodes of a graph, as settings."""

import itertools
from abc import abstractmethod
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.settings import Settings, setting
from populace.graphs.data.features import SparseFeatures
from populace.graphs.data.normalization import NORMALIZATIONS
from populace.nn.graph.edges import EdgeIndex
from populace.nn.graph.graph_attention import GATConv, GATv2Conv
from populace.nn.graph.graph_conv import GINConv, GraphConv, SAGEConv, glorot, personalized_pagerank
from populace.nn.modules.activations import ACTIVATIONS
from populace.nn.modules.dropout import dropped
from populace.nn.primitives.buffer import Buffer


class NodeNetwork(eqx.Module):
    """Layers one after the other: `h <- layer(drop(h))`, with an activation between two of them.

    Attributes:
        layers: each called as `layer(h, edges, weight)`, or as `layer(h)` if it is a `Dense`; attention as
            `layer(h, edges)`.
        rate: share of the features of a layer that are dropped in training.
        attention_rate: share of the attention that is.
        activation: its name.

    """

    layers: tuple[Any, ...]
    rate: Buffer
    attention_rate: Buffer
    activation: str = eqx.field(static=True)

    def __init__(self, layers: Any, rate: Any, activation: str, attention_rate: Any = 0.0) -> None:
        self.layers, self.activation = tuple(layers), activation
        self.rate = Buffer(jnp.asarray(rate, jnp.float32))
        self.attention_rate = Buffer(jnp.asarray(attention_rate, jnp.float32))

    def __call__(
        self, x: Any, edges: EdgeIndex, weight: Any = None, *, key: jax.Array | None = None
    ) -> jax.Array:
        """Return (N, outputs): in training where there is a key, in use where there is none."""
        for i, layer in enumerate(self.layers):
            if i:
                x = ACTIVATIONS[self.activation](x)
            own = None if key is None else jax.random.split(jax.random.fold_in(key, i))
            if own is not None:
                x = drop(x, self.rate.value, own[0])
            if isinstance(layer, GATConv | GATv2Conv):
                rate = 0.0 if own is None else self.attention_rate.value
                x = layer(x, edges, rate=rate, key=None if own is None else own[1])
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


class NodeNetworkConfig(Settings):
    """Configuration of a network over nodes; `build` makes the network."""

    normalization: str = setting(
        "symmetric",
        choices=NORMALIZATIONS,
        help="normalization of the adjacency matrix; see docs/graphs.md#matrices",
    )
    hidden_sizes: tuple[int, ...] = setting((16,), low=1, help="features of each hidden layer, per head")
    activation: str = setting("relu", choices=tuple(ACTIVATIONS), help="hidden activation")
    dropout: float = setting(0.5, low=0, high=0.99, help="dropout rate of each layer's input")

    def build(self, inputs: int, outputs: int, *, key: jax.Array) -> NodeNetwork:
        """Return a network from (N, inputs) to (N, outputs)."""
        sizes = [inputs, *self.hidden_sizes, outputs]
        pairs = itertools.pairwise(sizes)
        layers = [self.layer(a, b, jax.random.fold_in(key, i)) for i, (a, b) in enumerate(pairs)]
        return NodeNetwork(layers, self.dropout, self.activation)

    @abstractmethod
    def layer(self, inputs: int, outputs: int, key: jax.Array) -> Any:
        """Return one layer."""


class GCN(NodeNetworkConfig):
    """Graph convolutional network: `h <- A drop(h) W + b` (Kipf and Welling 2017)."""

    kind: ClassVar[str] = "gcn"

    def layer(self, inputs: int, outputs: int, key: jax.Array) -> GraphConv:
        """Return one layer."""
        return GraphConv(inputs, outputs, key=key)


class SGC(NodeNetworkConfig):
    """Simple graph convolution: `A^hops x W + b`, no hidden layer (Wu et al. 2019)."""

    kind: ClassVar[str] = "sgc"
    hidden_sizes: tuple[int, ...] = setting((), low=1, help="features of each hidden layer; [] in the paper")
    dropout: float = setting(0.0, low=0, high=0.99, help="dropout rate of each layer's input")
    hops: int = setting(2, low=1, help="propagation steps in each layer")

    def layer(self, inputs: int, outputs: int, key: jax.Array) -> GraphConv:
        """Return one layer."""
        return GraphConv(inputs, outputs, hops=self.hops, key=key)


class SAGE(NodeNetworkConfig):
    """GraphSAGE: `h <- W_self h + W_around how_j h_j + b` (Hamilton et al. 2017)."""

    kind: ClassVar[str] = "sage"
    normalization: str = setting("none", choices=NORMALIZATIONS, help="normalization of the adjacency matrix")
    how: str = setting("mean", choices=("mean", "sum", "max"), help="aggregation over the neighbors")

    def layer(self, inputs: int, outputs: int, key: jax.Array) -> SAGEConv:
        """Return one layer."""
        return SAGEConv(inputs, outputs, how=self.how, key=key)


class GIN(NodeNetworkConfig):
    """Graph isomorphism network: `h <- MLP((1 + eps) h + sum_j h_j)`, eps learned (Xu et al. 2019)."""

    kind: ClassVar[str] = "gin"
    normalization: str = setting("none", choices=NORMALIZATIONS, help="normalization of the adjacency matrix")

    def layer(self, inputs: int, outputs: int, key: jax.Array) -> GINConv:
        """Return one layer, with an MLP of one hidden layer."""
        first, second = jax.random.split(key)
        width = max(
            inputs if inputs <= max(self.hidden_sizes, default=outputs) else 0, *self.hidden_sizes, outputs
        )
        parts = (Dense(inputs, width, key=first), Dense(width, outputs, key=second))
        return GINConv(Perceptron(parts), learn_eps=True)


class Perceptron(eqx.Module):
    """`W_2 relu(W_1 x + b_1) + b_2` of each node."""

    parts: tuple[Dense, ...]

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return (N, outputs)."""
        first, second = self.parts
        return second(jax.nn.relu(first(x)))


class APPNP(NodeNetworkConfig):
    """`softmax` of what an MLP says of each node, spread by personalized PageRank (Klicpera et al. 2019)."""

    kind: ClassVar[str] = "appnp"
    hidden_sizes: tuple[int, ...] = setting((64,), low=1, help="features of each hidden layer")
    hops: int = setting(10, low=1, help="propagation steps")
    restart: float = setting(0.1, above=0, high=1, help="teleport probability alpha")

    def build(self, inputs: int, outputs: int, *, key: jax.Array) -> NodeNetwork:
        """Return a network from (N, inputs) to (N, outputs)."""
        network = super().build(inputs, outputs, key=key)
        spread = Propagation(Buffer(jnp.asarray(self.restart, jnp.float32)), self.hops)
        last = Predict(network.layers[-1], spread)
        return NodeNetwork([*network.layers[:-1], last], self.dropout, self.activation)

    def layer(self, inputs: int, outputs: int, key: jax.Array) -> Dense:
        """Return one layer of the MLP."""
        return Dense(inputs, outputs, key=key)


class Predict(eqx.Module):
    """Predict, then propagate: a dense layer and a spreading with nothing in between."""

    dense: Dense
    spread: Propagation

    def __call__(self, x: Any, edges: EdgeIndex, weight: Any = None) -> jax.Array:
        """Return (N, outputs)."""
        return self.spread(self.dense(x), edges, weight)


class GAT(NodeNetworkConfig):
    """Graph attention network (Velickovic et al. 2018); `second` scores as GATv2 (Brody et al. 2022)."""

    kind: ClassVar[str] = "gat"
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

    def build(self, inputs: int, outputs: int, *, key: jax.Array) -> NodeNetwork:
        """Return a network from (N, inputs) to (N, outputs)."""
        layers: list[Any] = []
        conv = GATv2Conv if self.second else GATConv
        for i, size in enumerate(self.hidden_sizes):
            layers.append(conv(inputs, size, self.heads, key=jax.random.fold_in(key, i)))
            inputs = size * self.heads
        last = jax.random.fold_in(key, len(self.hidden_sizes))
        layers.append(conv(inputs, outputs, self.last_heads, join="mean", key=last))
        return NodeNetwork(layers, self.dropout, self.activation, self.attention_dropout)

    def layer(self, inputs: int, outputs: int, key: jax.Array) -> GATConv:
        """Return one hidden layer."""
        return GATConv(inputs, outputs, self.heads, key=key)
