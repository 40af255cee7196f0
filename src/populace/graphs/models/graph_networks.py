"""Networks that say something of whole graphs, as settings: layers over nodes, and a readout."""

from abc import abstractmethod
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.core.model.outline import INPUT, Step, chained
from populace.core.settings import Settings, setting
from populace.graphs.data.batch import Batch
from populace.graphs.models.node_network import Dense, check_has_edge_features, drop
from populace.nn.graph.graph_attention import GATConv, GATv2Conv
from populace.nn.graph.graph_conv import GINConv, GINEConv, GraphConv
from populace.nn.modules.batch_norm import BatchNorm
from populace.nn.primitives.buffer import Buffer

READOUTS = ("sum", "mean", "max", "attention")


class GraphNetwork(eqx.Module):
    """`y = sum_l W_l drop(readout(h_l)) + b_l` over the input and the output of every layer (Xu et al. 2019).

    Attributes:
        layers: over nodes.
        heads: one for the input and for every layer.
        gates: what `attention` weighs the nodes by, one for each head; empty for other readouts.
        rate: share of a readout that is dropped in training.
        readout: how nodes become a graph: `sum`, `mean`, `max`, or `attention`, a mean weighted by a softmax
            over the graph's nodes of `g . h` (Li et al. 2016, arXiv:1511.05493).

    """

    layers: tuple[Any, ...]
    heads: tuple[Dense, ...]
    gates: tuple[Dense, ...]
    rate: Buffer
    readout: str = eqx.field(static=True)

    def wiring(self) -> list[Step]:
        """Return the layers one after the other, and beside the input and each of them its readout's head."""
        steps: list[Step] = []
        heard = INPUT
        for i, head in enumerate(self.heads):
            if self.gates:
                steps.append((f"gates/{i}", self.gates[i], (heard,)))
            gate = (f"gates/{i}",) if self.gates else ()
            steps.append((f"heads/{i}", head, (heard, *gate)))
            if i < len(self.layers):
                steps.append((f"layers/{i}", self.layers[i], (heard,)))
                heard = f"layers/{i}"
        return steps

    def __call__(self, batch: Batch) -> jax.Array:
        """Return (B, outputs) as it is in use."""
        return self._run(batch, None)[0]

    def learn(self, batch: Batch, key: jax.Array) -> tuple[jax.Array, "GraphNetwork"]:
        """Return (B, outputs) as it is in training, and the network with its running statistics moved."""
        return self._run(batch, key)

    def _run(self, batch: Batch, key: jax.Array | None) -> tuple[jax.Array, "GraphNetwork"]:
        h, layers = batch.x, []
        y = self._head(0, batch, h, key)
        for i, layer in enumerate(self.layers):
            h, layer = layer(h, batch, training=key is not None)
            layers.append(layer)
            y = y + self._head(i + 1, batch, h, key)
        return y, eqx.tree_at(lambda n: n.layers, self, tuple(layers))

    def _head(self, i: int, batch: Batch, h: jax.Array, key: jax.Array | None) -> jax.Array:
        if self.readout == "attention":
            score = self.gates[i](h)[:, 0]
            member = batch.graph[None] == jnp.arange(len(batch.sizes))[:, None]
            # Finite where no node is: a row of an empty place must have a gradient of zero, and no NaN.
            share = jax.nn.softmax(jnp.where(member, score, -1e30), axis=1)
            graphs = jnp.where(member, share, 0.0) @ h
        else:
            graphs = batch.readout(h, self.readout)
        if key is not None:
            graphs = drop(graphs, self.rate.value, jax.random.fold_in(key, i))
        return self.heads[i](graphs)


class GINLayer(eqx.Module):
    """`h <- relu(norm(MLP((1 + eps) h + sum_j h_j)))`, with a normalization inside of the MLP too.

    With features of edges the sum is GINE's, `sum_j relu(h_j + W e_j + b)`.
    """

    conv: GINConv | GINEConv
    second: Dense
    inner: BatchNorm
    outer: BatchNorm

    def __init__(self, inputs: int, outputs: int, *, edge_inputs: int = 0, key: jax.Array) -> None:
        keys = jax.random.split(key, 3 if edge_inputs else 2)
        # Batch normalization takes any bias off again: its gradient would be nothing but rounding.
        first = Dense(inputs, outputs, bias=False, key=keys[0])
        if edge_inputs:
            self.conv = GINEConv(first, inputs, edge_inputs, learn_eps=True, key=keys[2])
        else:
            self.conv = GINConv(first, learn_eps=True)
        self.second = Dense(outputs, outputs, bias=False, key=keys[1])
        self.inner, self.outer = BatchNorm(outputs), BatchNorm(outputs)

    def wiring(self) -> list[Step]:
        """Return the parts in the order in which they are applied, which is not that of the fields."""
        parts = [("conv", self.conv), ("inner", self.inner), ("0", jax.nn.relu), ("second", self.second)]
        return chained([*parts, ("outer", self.outer), ("1", jax.nn.relu)])

    def __call__(self, h: jax.Array, batch: Batch, *, training: bool) -> tuple[jax.Array, "GINLayer"]:
        """Return (P, outputs) and the layer."""
        if isinstance(self.conv, GINEConv):
            h = self.conv(h, batch.edges, batch.edge_features)
        else:
            h = self.conv(h, batch.edges)
        h, inner = normalized(self.inner, h, batch.node_mask, training)
        h = self.second(jax.nn.relu(h))
        h, outer = normalized(self.outer, h, batch.node_mask, training)
        layer = eqx.tree_at(lambda n: (n.inner, n.outer), self, (inner, outer))
        return jax.nn.relu(h), layer


class GCNLayer(eqx.Module):
    """`h <- relu(norm(A h W))` with the normalization `symmetric` of `Graph.normalized`."""

    conv: GraphConv
    norm: BatchNorm

    def __init__(self, inputs: int, outputs: int, *, key: jax.Array) -> None:
        self.conv, self.norm = GraphConv(inputs, outputs, bias=False, key=key), BatchNorm(outputs)

    def __call__(self, h: jax.Array, batch: Batch, *, training: bool) -> tuple[jax.Array, "GCNLayer"]:
        """Return (P, outputs) and the layer."""
        # A self-loop that is missing adds a node's own features, weighed: no edge has to be added.
        linear = h @ self.conv.weight
        around = eqx.tree_at(lambda c: c.weight, self.conv, jnp.eye(linear.shape[1]))(
            linear, batch.edges, batch.symmetric_weight
        )
        whole = around + linear * batch.loop_weight[:, None]
        h, norm = normalized(self.norm, whole, batch.node_mask, training)
        return jax.nn.relu(h), eqx.tree_at(lambda n: n.norm, self, norm)


class GATLayer(eqx.Module):
    """`h <- relu(norm(GAT(h)))` over edges and self-loops, with the features of edges where there are any."""

    conv: GATConv | GATv2Conv
    norm: BatchNorm

    def __init__(
        self, inputs: int, outputs: int, heads: int, *, second: bool, edge_inputs: int, key: jax.Array
    ) -> None:
        kind = GATv2Conv if second else GATConv
        self.conv = kind(inputs, outputs // heads, heads, bias=False, edge_inputs=edge_inputs, key=key)
        self.norm = BatchNorm(outputs)

    def __call__(self, h: jax.Array, batch: Batch, *, training: bool) -> tuple[jax.Array, "GATLayer"]:
        """Return (P, outputs) and the layer."""
        found = self.conv(h, batch.edges, batch.edge_features)
        h, norm = normalized(self.norm, found, batch.node_mask, training)
        return jax.nn.relu(h), eqx.tree_at(lambda n: n.norm, self, norm)


def normalized(norm: BatchNorm, x: jax.Array, mask: jax.Array, training: bool) -> tuple[jax.Array, BatchNorm]:
    """Return batch normalization over the nodes (P, F) that are no padding, and the module moved."""
    return norm.learn_all(x, mask) if training else (norm(x), norm)


class GraphNetworkConfig(Settings):
    """A plan of a network over whole graphs."""

    self_loops: ClassVar[bool] = False
    """Whether graphs are given self-loops where they have none."""
    takes_edge_features: ClassVar[bool] = False
    """Whether features of edges, where there are any, have weights."""

    layers: int = setting(4, low=1, help="number of layers over nodes")
    hidden_channels: int = setting(32, low=1, help="hidden features of each node")
    readout: str = setting("sum", choices=READOUTS, help="pooling of node features into a graph")
    dropout: float = setting(0.5, low=0, high=0.99, help="dropout rate of each readout")

    def build(self, inputs: int, outputs: int, *, edge_inputs: int = 0, key: jax.Array) -> GraphNetwork:
        """Return a network from batches with nodes (inputs,) and edges (edge_inputs,) to (B, outputs)."""
        keys = jax.random.split(key, 3)
        sizes = [inputs, *[self.hidden_channels] * self.layers]
        layers = [
            self.layer(a, self.hidden_channels, jax.random.fold_in(keys[0], i), edge_inputs)
            for i, a in enumerate(sizes[:-1])
        ]
        heads = [Dense(a, outputs, key=jax.random.fold_in(keys[1], i)) for i, a in enumerate(sizes)]
        gates = [Dense(a, 1, key=jax.random.fold_in(keys[2], i)) for i, a in enumerate(sizes)]
        rate = Buffer(jnp.asarray(self.dropout, jnp.float32))
        gated = tuple(gates) if self.readout == "attention" else ()
        return GraphNetwork(tuple(layers), tuple(heads), gated, rate, self.readout)

    @abstractmethod
    def layer(self, inputs: int, outputs: int, key: jax.Array, edge_inputs: int = 0) -> Any:
        """Return one layer; of those that know no features of edges, `edge_inputs` changes nothing."""


class GraphGIN(GraphNetworkConfig):
    """Graph isomorphism network (Xu et al. 2019)."""

    kind: ClassVar[str] = "gin"

    def layer(self, inputs: int, outputs: int, key: jax.Array, edge_inputs: int = 0) -> GINLayer:
        """Return one layer."""
        return GINLayer(inputs, outputs, key=key)


class GraphGINE(GraphNetworkConfig):
    """Graph isomorphism network that takes features of edges (Hu et al. 2020)."""

    kind: ClassVar[str] = "gine"
    takes_edge_features: ClassVar[bool] = True

    def layer(self, inputs: int, outputs: int, key: jax.Array, edge_inputs: int = 0) -> GINLayer:
        """Return one layer."""
        check_has_edge_features(edge_inputs)
        return GINLayer(inputs, outputs, edge_inputs=edge_inputs, key=key)


class GraphGAT(GraphNetworkConfig):
    """Graph attention network; features of edges, where there are any, have a part in its scores."""

    kind: ClassVar[str] = "gat"
    self_loops: ClassVar[bool] = True
    takes_edge_features: ClassVar[bool] = True
    heads: int = setting(4, low=1, help="heads, concatenated; they divide the hidden channels")
    second: bool = setting(False, help="use GATv2's dynamic attention")

    def layer(self, inputs: int, outputs: int, key: jax.Array, edge_inputs: int = 0) -> GATLayer:
        """Return one layer.

        Raises:
            UsageError: heads that do not divide the hidden channels.

        """
        if outputs % self.heads:
            raise UsageError(f"heads {self.heads} do not divide hidden_channels {outputs}; choose a divisor")
        return GATLayer(inputs, outputs, self.heads, second=self.second, edge_inputs=edge_inputs, key=key)


class GraphGCN(GraphNetworkConfig):
    """Graph convolutional network with the same readouts (Kipf and Welling 2017)."""

    kind: ClassVar[str] = "gcn"

    def layer(self, inputs: int, outputs: int, key: jax.Array, edge_inputs: int = 0) -> GCNLayer:
        """Return one layer."""
        return GCNLayer(inputs, outputs, key=key)
