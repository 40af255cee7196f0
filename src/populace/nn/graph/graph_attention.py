"""Graph attention: each node weights its incoming messages by a softmax over its incoming edges.

For a node to attend to itself it needs a self-loop: `populace.graphs.Graph.with_self_loops` adds them.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.nn.graph.aggregate import aggregate, at_sources, at_targets, attend, edge_softmax
from populace.nn.graph.edges import EdgeIndex
from populace.nn.graph.graph_conv import check_edge_features, check_features, check_sizes, glorot
from populace.nn.modules.dropout import dropped


class GATConv(eqx.Module):
    """Attention with H heads whose scores are the sum of a source term and a target term.

        z_i = W x_i                                                  (N, H, F)
        e_ij = LeakyReLU(a_to . z_i + a_from . z_j)                  for each edge from j to i, each head
        y_i = join_h sum_(j into i) softmax_j(e_ij) z_j + b

    With features f_ij of edges (`edge_inputs`) the score has a third term, `a_edge . W_edge f_ij`. Heads are
    concatenated or averaged. Memory is `O(E H + N H F)`: nothing of size (N, N) or (E, H, F) is
    allocated; with edge features, (E, D) and (E, H) are. Time is `O(N Cin H F + E H F)`.

    Args:
        inputs: Cin.
        outputs: F, per head.
        heads: H.
        join: `concatenate` gives (N, H F), `mean` (N, F).
        bias: whether to add b, initialized to zero.
        edge_inputs: D, features of an edge; 0 for none.
        slope: negative slope of the LeakyReLU.
        key: random key for the initial weights (Glorot and Bengio 2010).

    Raises:
        UsageError: a size below 1, an unknown `join`, or an input of another width.

    Source: Velickovic et al. 2018, "Graph Attention Networks".

    """

    weight: jax.Array
    source: jax.Array
    target: jax.Array
    bias: jax.Array | None
    edge_weight: jax.Array | None
    edge: jax.Array | None
    join: str = eqx.field(static=True)
    slope: float = eqx.field(static=True)

    def __init__(
        self, inputs: int, outputs: int, heads: int = 1, *, join: str = "concatenate", slope: float = 0.2,
        bias: bool = True, edge_inputs: int = 0, key: jax.Array,
    ) -> None:  # fmt: skip
        _check("GATConv", inputs, outputs, heads, join)
        keys = jax.random.split(key, 5 if edge_inputs else 3)
        self.weight = glorot(keys[0], inputs, heads * outputs)
        self.source, self.target = (glorot(k, heads, outputs) for k in keys[1:3])
        self.edge_weight = glorot(keys[3], edge_inputs, heads * outputs) if edge_inputs else None
        self.edge = glorot(keys[4], heads, outputs) if edge_inputs else None
        self.bias = jnp.zeros(heads * outputs if join == "concatenate" else outputs) if bias else None
        self.join, self.slope = join, slope

    def __call__(
        self, x: Any, edges: EdgeIndex, edge_features: Any = None, *, rate: float | jax.Array = 0.0,
        key: jax.Array | None = None,
    ) -> jax.Array:  # fmt: skip
        """Return (N, H F) or (N, F).

        Args:
            x: features (N, Cin), or any object that supports `x @ weight`.
            edges: edges of the graph.
            edge_features: features of edges, (E, D), of a layer that has weights for them.
            rate: dropout rate of the attention weights.
            key: random key for dropout; None at inference.

        """
        z, source, target = self._scores(x, edges)
        if self.edge_weight is None:
            y = attend(edges, source, target, z, slope=self.slope, rate=rate, key=key)
        else:  # the fused kernel has no term of edges
            share = self._shares(edges, source, target, edge_features)
            y = aggregate(edges, z, "sum", share if key is None else dropped(share, rate, key))
        return _joined(y, self.join, self.bias)

    def attention(self, x: Any, edges: EdgeIndex, edge_features: Any = None) -> jax.Array:
        """Return the attention weights, (E, H); they sum to 1 over the edges into each node."""
        _, source, target = self._scores(x, edges)
        return self._shares(edges, source, target, edge_features)

    def _shares(self, edges: EdgeIndex, source: jax.Array, target: jax.Array, features: Any) -> jax.Array:
        score = at_sources(edges, source) + at_targets(edges, target)
        if self.edge_weight is not None and self.edge is not None:
            check_edge_features("GATConv", features, edges, self.edge_weight.shape[0])
            # W_edge f . a_edge for each head, without (E, H, F).
            by_head = self.edge_weight.reshape(-1, *self.edge.shape)
            score = score + features @ jnp.sum(by_head * self.edge, -1)
        return edge_softmax(edges, jax.nn.leaky_relu(score, self.slope))

    def _scores(self, x: Any, edges: EdgeIndex) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Return z (N, H, F) and the score terms of nodes as sources and as targets, (N, H)."""
        check_features("GATConv", x, edges, self.weight.shape[0])
        z = (x @ self.weight).reshape(x.shape[0], *self.source.shape)
        return z, jnp.sum(z * self.source, -1), jnp.sum(z * self.target, -1)


class GATv2Conv(eqx.Module):
    """Dynamic attention: scores depend on both ends jointly, so each node can rank its sources differently.

        e_ij = a . LeakyReLU(W_to x_i + W_from x_j + W_edge f_ij)
        y_i = join_h sum_(j into i) softmax_j(e_ij) W_from x_j + b

    The last term is that of features of edges, where there are any. Time and memory are `O(E H F)`: unlike
    GAT's, the score does not split into one term per end.

    Arguments and errors are those of [`GATConv`][populace.nn.graph.graph_attention.GATConv].

    Source: Brody, Alon and Yahav 2022, "How Attentive are Graph Attention Networks?".

    """

    from_weight: jax.Array
    to_weight: jax.Array
    score: jax.Array
    bias: jax.Array | None
    edge_weight: jax.Array | None
    join: str = eqx.field(static=True)
    slope: float = eqx.field(static=True)

    def __init__(
        self, inputs: int, outputs: int, heads: int = 1, *, join: str = "concatenate", slope: float = 0.2,
        bias: bool = True, edge_inputs: int = 0, key: jax.Array,
    ) -> None:  # fmt: skip
        _check("GATv2Conv", inputs, outputs, heads, join)
        keys = jax.random.split(key, 4 if edge_inputs else 3)
        self.edge_weight = glorot(keys[3], edge_inputs, heads * outputs) if edge_inputs else None
        self.from_weight, self.to_weight = (glorot(k, inputs, heads * outputs) for k in keys[:2])
        self.score = glorot(keys[2], heads, outputs)
        self.bias = jnp.zeros(heads * outputs if join == "concatenate" else outputs) if bias else None
        self.join, self.slope = join, slope

    def __call__(
        self, x: Any, edges: EdgeIndex, edge_features: Any = None, *, rate: float | jax.Array = 0.0,
        key: jax.Array | None = None,
    ) -> jax.Array:  # fmt: skip
        """Return (N, H F) or (N, F); see [`GATConv`][populace.nn.graph.graph_attention.GATConv]."""
        z, score = self._scores(x, edges, edge_features)
        share = edge_softmax(edges, score)
        share = share if key is None else dropped(share, rate, key)
        return _joined(aggregate(edges, z, "sum", share), self.join, self.bias)

    def attention(self, x: Any, edges: EdgeIndex, edge_features: Any = None) -> jax.Array:
        """Return the attention weights, (E, H); they sum to 1 over the edges into each node."""
        return edge_softmax(edges, self._scores(x, edges, edge_features)[1])

    def _scores(self, x: Any, edges: EdgeIndex, features: Any) -> tuple[jax.Array, jax.Array]:
        check_features("GATv2Conv", x, edges, self.from_weight.shape[0])
        shape = (x.shape[0], *self.score.shape)
        z, own = (x @ self.from_weight).reshape(shape), (x @ self.to_weight).reshape(shape)
        both = at_sources(edges, z) + at_targets(edges, own)
        if self.edge_weight is not None:
            check_edge_features("GATv2Conv", features, edges, self.edge_weight.shape[0])
            both = both + (features @ self.edge_weight).reshape(-1, *self.score.shape)
        return z, jnp.sum(jax.nn.leaky_relu(both, self.slope) * self.score, -1)


def _check(layer: str, inputs: int, outputs: int, heads: int, join: str) -> None:
    check_sizes(layer, inputs=inputs, outputs=outputs, heads=heads)
    if join not in ("concatenate", "mean"):
        raise UsageError(f"{layer}: join must be concatenate or mean, got {join!r}")


def _joined(y: jax.Array, join: str, bias: jax.Array | None) -> jax.Array:
    y = y.reshape(y.shape[0], -1) if join == "concatenate" else y.mean(1)
    return y if bias is None else y + bias
