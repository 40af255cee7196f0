"""Graph convolutions: each node aggregates the features of the sources of its incoming edges.

All layers take node features x (N, Cin), the `edges`, and edge weights (E,), or None for weights of 1.
Weighted edges form a matrix A, with A[i, j] the weight of the edge from j to i. `Graph.normalized` chooses
its form: with self-loops, with its rows or both sides divided by degrees.

x may also be any object that supports `x @ weight` (N, Cout), such as `populace.graphs.SparseFeatures`.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.nn.graph.aggregate import aggregate, at_sources, sum_at_targets
from populace.nn.graph.edges import EdgeIndex
from populace.nn.primitives.precision import as_given, at_least_float32

HOWS = ("mean", "sum", "max")


class GraphConv(eqx.Module):
    """`y = A^hops x W + b`; with `symmetric` edge weights the layer of a GCN.

    The sum over edges is taken of x or of x W, whichever is narrower: `O(E hops min(Cin, Cout) + N Cin
    Cout)`.

    Args:
        inputs: Cin.
        outputs: Cout.
        hops: number of propagation steps along the edges.
        bias: whether to add b, initialized to zero; W is initialized as in Glorot and Bengio 2010.
        key: random key for the initial weights.

    Raises:
        UsageError: a size below 1, or an input of another width.

    Source: Kipf and Welling 2017, "Semi-Supervised Classification with Graph Convolutional Networks". With
    several hops it is SGC: Wu et al. 2019, "Simplifying Graph Convolutional Networks".

    """

    weight: jax.Array
    bias: jax.Array | None
    hops: int = eqx.field(static=True)

    def __init__(
        self, inputs: int, outputs: int, *, hops: int = 1, bias: bool = True, key: jax.Array
    ) -> None:
        check_sizes("GraphConv", inputs=inputs, outputs=outputs, hops=hops)
        self.weight = glorot(key, inputs, outputs)
        self.bias = jnp.zeros(outputs) if bias else None
        self.hops = hops

    def __call__(self, x: Any, edges: EdgeIndex, weight: Any = None) -> jax.Array:
        """Return (N, Cout)."""
        check_features("GraphConv", x, edges, self.weight.shape[0])
        narrow = isinstance(x, jax.Array) and x.shape[1] < self.weight.shape[1]
        y = x if narrow else x @ self.weight
        for _ in range(self.hops):
            y = aggregate(edges, y, "sum", weight)
        y = y @ self.weight if narrow else y
        return y if self.bias is None else y + self.bias


class SAGEConv(eqx.Module):
    """`y_i = W_self x_i + W_around how_(j into i) x_j + b`, optionally scaled to unit length.

    Args:
        inputs: Cin.
        outputs: Cout.
        how: aggregation over the neighbors, `mean`, `sum` or `max`; a node without neighbors gets zeros.
        unit: divide each y_i by its Euclidean norm, as the paper does.
        key: random key for the initial weights.

    Raises:
        UsageError: a size below 1, an unknown `how`, or an input of another width.

    Source: Hamilton, Ying and Leskovec 2017, "Inductive Representation Learning on Large Graphs".

    """

    own: jax.Array
    around: jax.Array
    bias: jax.Array
    how: str = eqx.field(static=True)
    unit: bool = eqx.field(static=True)

    def __init__(
        self, inputs: int, outputs: int, *, how: str = "mean", unit: bool = False, key: jax.Array
    ) -> None:
        check_sizes("SAGEConv", inputs=inputs, outputs=outputs)
        if how not in HOWS:
            raise UsageError(f"SAGEConv: how must be one of {', '.join(HOWS)}, got {how!r}")
        first, second = jax.random.split(key)
        self.own, self.around = glorot(first, inputs, outputs), glorot(second, inputs, outputs)
        self.bias, self.how, self.unit = jnp.zeros(outputs), how, unit

    def __call__(self, x: Any, edges: EdgeIndex, weight: Any = None) -> jax.Array:
        """Return (N, Cout)."""
        check_features("SAGEConv", x, edges, self.own.shape[0])
        linear = self.how != "max"
        if linear and not (isinstance(x, jax.Array) and x.shape[1] < self.around.shape[1]):
            around = aggregate(edges, x @ self.around, self.how, weight)
        else:
            around = aggregate(edges, dense(x), self.how, weight) @ self.around
        y = x @ self.own + around + self.bias
        if self.unit:
            square = jnp.sum(at_least_float32(y) ** 2, -1, keepdims=True)
            y = as_given(y / jnp.sqrt(jnp.maximum(square, 1e-24)), y.dtype)
        return y


class GINConv(eqx.Module):
    """`y_i = f((1 + eps) x_i + sum_(j into i) x_j)`, with f any function of (N, Cin), such as an MLP.

    Args:
        function: f; its weights are trained with the layer.
        eps: initial value of eps.
        learn_eps: whether eps is trained.

    Source: Xu et al. 2019, "How Powerful are Graph Neural Networks?".

    """

    function: Callable[..., Any]
    eps: jax.Array | float

    def __init__(self, function: Callable[..., Any], *, eps: float = 0.0, learn_eps: bool = False) -> None:
        self.function, self.eps = function, jnp.float32(eps) if learn_eps else float(eps)

    def gather(self, x: Any, edges: EdgeIndex, weight: Any = None) -> jax.Array:
        """Return the input of f, (N, Cin)."""
        x = dense(x)
        check_features("GINConv", x, edges, x.shape[1])
        return (1 + self.eps) * x + aggregate(edges, x, "sum", weight)

    def __call__(self, x: Any, edges: EdgeIndex, weight: Any = None) -> jax.Array:
        """Return the output of f, (N, Cout)."""
        return self.function(self.gather(x, edges, weight))


class GINEConv(eqx.Module):
    """`y_i = f((1 + eps) x_i + sum_(j into i) relu(x_j + W e_ji + b))`: GIN with features of edges.

    Memory is O(E Cin).

    Args:
        function: f, any function of (N, Cin); its weights are trained with the layer.
        inputs: Cin.
        edge_inputs: D, features of an edge.
        eps: initial value of eps.
        learn_eps: whether eps is trained.
        key: random key for W, initialized as in Glorot and Bengio 2010; b starts at zero.

    Raises:
        UsageError: a size below 1, or features of nodes or edges of another shape.

    Source: Hu et al. 2020, "Strategies for Pre-training Graph Neural Networks".

    """

    function: Callable[..., Any]
    weight: jax.Array
    bias: jax.Array
    eps: jax.Array | float

    def __init__(
        self, function: Callable[..., Any], inputs: int, edge_inputs: int, *, eps: float = 0.0,
        learn_eps: bool = False, key: jax.Array,
    ) -> None:  # fmt: skip
        check_sizes("GINEConv", inputs=inputs, edge_inputs=edge_inputs)
        self.function, self.eps = function, jnp.float32(eps) if learn_eps else float(eps)
        self.weight, self.bias = glorot(key, edge_inputs, inputs), jnp.zeros(inputs)

    def gather(self, x: Any, edges: EdgeIndex, edge_features: Any) -> jax.Array:
        """Return the input of f, (N, Cin)."""
        x = dense(x)
        check_features("GINEConv", x, edges, self.weight.shape[1])
        check_edge_features("GINEConv", edge_features, edges, self.weight.shape[0])
        messages = jax.nn.relu(at_sources(edges, x) + edge_features @ self.weight + self.bias)
        return (1 + self.eps) * x + sum_at_targets(edges, messages)

    def __call__(self, x: Any, edges: EdgeIndex, edge_features: Any) -> jax.Array:
        """Return the output of f, (N, Cout), given features of nodes (N, Cin) and edges (E, D)."""
        return self.function(self.gather(x, edges, edge_features))


def personalized_pagerank(
    h: jax.Array, edges: EdgeIndex, weight: Any = None, *, hops: int = 10, restart: float | jax.Array = 0.1
) -> jax.Array:
    """Propagation of APPNP: iterate `Z <- (1 - restart) A Z + restart H`, starting from Z = H.

    Args:
        h: (N, C), the predictions for each node from its own features.
        edges: edges of the graph.
        weight: (E,), the weights of a normalized graph.
        hops: number of iterations.
        restart: teleport probability alpha, in (0, 1].

    Returns:
        Z, (N, C).

    Raises:
        UsageError: fewer than 1 hop, or a restart outside (0, 1].

    Source: Klicpera, Bojchevski and Guennemann 2019, "Predict then Propagate".

    """
    check_sizes("personalized_pagerank", hops=hops)
    if isinstance(restart, int | float) and not 0 < restart <= 1:
        raise UsageError(f"personalized_pagerank: restart must be in (0, 1], got {restart}")
    check_features("personalized_pagerank", h, edges, h.shape[1])
    z = h
    for _ in range(hops):
        z = (1 - restart) * aggregate(edges, z, "sum", weight) + restart * h
    return z


def glorot(key: jax.Array, inputs: int, outputs: int, *more: int) -> jax.Array:
    """Return a weight (inputs, outputs, *more), uniform with variance `2 / (inputs + outputs)`."""
    bound = (6 / (inputs + outputs)) ** 0.5
    return jax.random.uniform(key, (inputs, outputs, *more), minval=-bound, maxval=bound)


def dense(x: Any) -> jax.Array:
    """Return features as a dense array."""
    return jnp.asarray(x) if hasattr(x, "ndim") else x @ jnp.eye(x.shape[1])


def check_sizes(layer: str, **sizes: int) -> None:
    """Raise UsageError for a size below 1."""
    for name, size in sizes.items():
        if size < 1:
            raise UsageError(f"{layer}: {name} must be at least 1, got {size}")


def check_features(layer: str, x: Any, edges: EdgeIndex, width: int) -> None:
    """Raise UsageError if features do not have one row per node, or have another width."""
    targets, sources = edges.size
    if targets != sources:
        raise UsageError(
            f"{layer}: edges go from {sources} sources to {targets} targets; expected one set of nodes"
        )
    if tuple(x.shape) != (sources, width):
        raise UsageError(f"{layer}: features have shape {tuple(x.shape)}, expected ({sources}, {width})")


def check_edge_features(layer: str, features: Any, edges: EdgeIndex, width: int) -> None:
    """Raise UsageError if features of edges do not have one row per edge, or have another width."""
    shape = None if features is None else tuple(features.shape)
    if shape != (edges.count, width):
        found = f"have shape {shape}" if shape is not None else "are missing"
        raise UsageError(f"{layer}: edge features {found}, expected ({edges.count}, {width})")
