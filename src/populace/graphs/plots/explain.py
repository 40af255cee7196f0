"""Explanations of node predictions: attention and the importance of neighbors."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.media import Visualization
from populace.graphs.data.graph import Graph
from populace.graphs.plots.draw import MOST, draw, draw_convolution, draw_neighbors
from populace.graphs.plots.layer_activations import steps
from populace.nn.graph.graph_attention import GATConv, GATv2Conv
from populace.supervised import plots

_ATTENTIVE = (GATConv, GATv2Conv)


def attention(graph: Graph, network: Any) -> np.ndarray:
    """Return how much attention each edge gets in the first layer, the mean over heads, (E,).

    Over the edges into a node it sums to 1. Attention says what a layer took in, not what the outcome
    hangs on; for that see [`influence`][populace.graphs.plots.explain.influence].

    Raises:
        UsageError: through the layer, for features that do not fit.

    """
    layer = network.layers[0]
    return np.asarray(eqx.filter_jit(layer.attention)(_features(graph), graph.edges)).mean(-1)


def influence(graph: Graph, network: Any, node: int) -> np.ndarray:
    """Return how much each node's features mattered to a node's likeliest class, (N,).

    `I_j = |x_j * d(logit of the class of the node) / d x_j|_1`, the input gradient times the input
    (Shrikumar et al. 2017, arXiv:1605.01713): how far the logit would fall, to first order, were the features
    of node j switched off one by one.
    """
    x = _features(graph)

    def logit(values: jax.Array) -> jax.Array:
        given = values if isinstance(x, jax.Array) else type(x)(x.edges, values)
        outputs = network(given, graph.edges, graph.weight)[node]
        return jnp.max(outputs)

    values = x if isinstance(x, jax.Array) else jnp.asarray(x.values)
    product = np.abs(np.asarray(jax.jit(lambda values: values * jax.grad(logit)(values))(values)))
    if isinstance(x, jax.Array):
        return product.sum(1)
    return np.bincount(x.edges.targets, product, minlength=graph.nodes)


def importance(graph: Graph, network: Any, node: int) -> tuple[np.ndarray, str]:
    """Return how much each edge mattered to a node, (E,), and in words how that was measured."""
    if isinstance(network.layers[0], _ATTENTIVE):
        return attention(graph, network), "attention of the first layer, mean over heads"
    share = influence(graph, network, node)
    return share[graph.edges.sources].astype(np.float64), "input gradient times input, of the edge's source"


def visualizations(graph: Graph, model: Any, probabilities: np.ndarray) -> dict[str, Visualization]:
    """Return what the report shows of a trained node classifier."""
    part, y = np.asarray(model.part.value), np.asarray(graph.y)
    name, judged = "test", np.flatnonzero(part == 3)
    if not len(judged):
        name, judged = "validation", np.flatnonzero(part == 2)
    said = probabilities.argmax(1)
    names = graph.names or tuple(str(i) for i in range(graph.classes))
    shown: dict[str, Visualization] = {}
    if len(judged):
        logits = np.log(np.maximum(probabilities[judged], 1e-30))
        shown["confusion"] = plots.confusion(jnp.asarray(logits), y[judged], names, name)
        # The node explained: the surest of the mistakes, else the least sure; what a reader asks about first.
        wrong = judged[said[judged] != y[judged]]
        sure = probabilities[wrong if len(wrong) else judged].max(1)
        node = int(wrong[sure.argmax()] if len(wrong) else judged[sure.argmin()])
        edges, how = importance(graph, model.network, node)
        drawn = draw_neighbors(graph, node, edges)
        truth = f"true class {names[y[node]]}, predicted {names[said[node]]}"
        caption = f"{drawn.caption} ({how}); {truth} with {probabilities[node].max():.0%}"
        shown["neighbors"] = type(drawn)(drawn.image, caption)
    if graph.nodes <= MOST:
        right = np.where(said == y, "right", "wrong") == "right"
        shown["graph"] = draw(
            graph, probabilities[np.arange(len(y)), np.maximum(y, 0)],
            caption=f"Probability of each node's true class; right for {right.sum()} of {len(y)} nodes",
        )  # fmt: skip
        if (taken := steps(graph, model.network, _features(graph))) is not None:
            shown["convolution"] = draw_convolution(
                graph, *taken.values, titles=taken.titles, alike=taken.alike,
                caption=f"First output of the first layer on {graph.name}",
            )  # fmt: skip
    return shown


def _features(graph: Graph) -> Any:
    return jnp.asarray(graph.x) if isinstance(graph.x, np.ndarray) else graph.x
