"""Graph convolutions: each node hears from the sources of the arcs into it.

All take features of all nodes, x (N, Cin), the `arcs`, and what each arc weighs (E,), or None for one each.
Weighted arcs are a matrix A, with A[i, j] the weight of the arc from j to i. Which matrix it is (with
self-loops, its rows or both sides divided by degrees) is the graph's business: see `Graph.normalised`.

x may also be a matrix that only knows `x @ weight` (N, Cout), such as `populace.graphs.SparseFeatures`.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.nn.graph.aggregate import aggregate
from populace.nn.graph.edges import Arcs

HOWS = ("mean", "sum", "max")


class GraphConv(eqx.Module):
    """`y = A^hops x W + b`; with the `symmetric` normalisation the layer of a GCN.

    The sum over arcs is taken of x or of x W, whichever is narrower: `O(E hops min(Cin, Cout) + N Cin Cout)`.

    Args:
        inputs: Cin.
        outputs: Cout.
        hops: how often features travel along the arcs.
        bias: whether there is a b; it starts at zero, W as Glorot and Bengio 2010 have it.
        key: of the initial weights.

    Raises:
        UsageError: sizes below 1; an input of another width.

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

    def __call__(self, x: Any, arcs: Arcs, weight: Any = None) -> jax.Array:
        """Return (N, Cout)."""
        check_features("GraphConv", x, arcs, self.weight.shape[0])
        narrow = isinstance(x, jax.Array) and x.shape[1] < self.weight.shape[1]
        y = x if narrow else x @ self.weight
        for _ in range(self.hops):
            y = aggregate(arcs, y, "sum", weight)
        y = y @ self.weight if narrow else y
        return y if self.bias is None else y + self.bias


class SAGEConv(eqx.Module):
    """`y_i = W_self x_i + W_around how_(j into i) x_j + b`, of length 1 where `unit` is set.

    Args:
        inputs: Cin.
        outputs: Cout.
        how: `mean`, `sum` or `max` of the neighbours; a node without any hears zeros.
        unit: divide each y_i by its Euclidean length, as the paper does.
        key: of the initial weights.

    Raises:
        UsageError: sizes below 1, an unknown `how`; an input of another width.

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

    def __call__(self, x: Any, arcs: Arcs, weight: Any = None) -> jax.Array:
        """Return (N, Cout)."""
        check_features("SAGEConv", x, arcs, self.own.shape[0])
        linear = self.how != "max"
        if linear and not (isinstance(x, jax.Array) and x.shape[1] < self.around.shape[1]):
            around = aggregate(arcs, x @ self.around, self.how, weight)
        else:
            around = aggregate(arcs, dense(x), self.how, weight) @ self.around
        y = x @ self.own + around + self.bias
        if self.unit:
            y = y / jnp.sqrt(jnp.maximum(jnp.sum(y**2, -1, keepdims=True), 1e-24))
        return y


class GINConv(eqx.Module):
    """`y_i = f((1 + eps) x_i + sum_(j into i) x_j)`, f any function of (N, Cin), such as an MLP.

    Args:
        function: f; its weights are the layer's.
        eps: where eps starts.
        learn_eps: whether eps is a weight, or stays.

    Source: Xu et al. 2019, "How Powerful are Graph Neural Networks?".

    """

    function: Callable[..., Any]
    eps: jax.Array | float

    def __init__(self, function: Callable[..., Any], *, eps: float = 0.0, learn_eps: bool = False) -> None:
        self.function, self.eps = function, jnp.float32(eps) if learn_eps else float(eps)

    def gather(self, x: Any, arcs: Arcs, weight: Any = None) -> jax.Array:
        """Return what f is given, (N, Cin)."""
        x = dense(x)
        check_features("GINConv", x, arcs, x.shape[1])
        return (1 + self.eps) * x + aggregate(arcs, x, "sum", weight)

    def __call__(self, x: Any, arcs: Arcs, weight: Any = None) -> jax.Array:
        """Return f's result, (N, Cout)."""
        return self.function(self.gather(x, arcs, weight))


def personalised_pagerank(
    h: jax.Array, arcs: Arcs, weight: Any = None, *, hops: int = 10, restart: float | jax.Array = 0.1
) -> jax.Array:
    """Return Z of `Z <- (1 - restart) A Z + restart H`, `hops` times from Z = H: the step of APPNP.

    Args:
        h: (N, C), what a network says of each node by itself.
        arcs: the graph's.
        weight: (E,), of a normalised graph.
        hops: how often.
        restart: how much of H comes back each time, in (0, 1].

    Raises:
        UsageError: no hops, a restart outside (0, 1].

    Source: Klicpera, Bojchevski and Guennemann 2019, "Predict then Propagate".

    """
    check_sizes("personalised_pagerank", hops=hops)
    if isinstance(restart, int | float) and not 0 < restart <= 1:
        raise UsageError(f"personalised_pagerank: restart must be in (0, 1], got {restart}")
    check_features("personalised_pagerank", h, arcs, h.shape[1])
    z = h
    for _ in range(hops):
        z = (1 - restart) * aggregate(arcs, z, "sum", weight) + restart * h
    return z


def glorot(key: jax.Array, inputs: int, outputs: int, *more: int) -> jax.Array:
    """Return a weight (inputs, outputs, *more), uniform with variance `2 / (inputs + outputs)`."""
    bound = (6 / (inputs + outputs)) ** 0.5
    return jax.random.uniform(key, (inputs, outputs, *more), minval=-bound, maxval=bound)


def dense(x: Any) -> jax.Array:
    """Return features as an array; sparse ones are multiplied out."""
    return jnp.asarray(x) if hasattr(x, "ndim") else x @ jnp.eye(x.shape[1])


def check_sizes(layer: str, **sizes: int) -> None:
    """Raise UsageError for a size below 1."""
    for name, size in sizes.items():
        if size < 1:
            raise UsageError(f"{layer}: {name} must be at least 1, got {size}")


def check_features(layer: str, x: Any, arcs: Arcs, width: int) -> None:
    """Raise UsageError where features do not have a row for each node, or have another width."""
    targets, sources = arcs.size
    if targets != sources:
        raise UsageError(
            f"{layer}: arcs go from {sources} sources to {targets} targets; expected one set of nodes"
        )
    if tuple(x.shape) != (sources, width):
        raise UsageError(f"{layer}: features have shape {tuple(x.shape)}, expected ({sources}, {width})")
