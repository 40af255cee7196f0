"""Explanations of predictions for nodes and graphs: attention, and the importance of what is heard."""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.media import Visualization
from populace.graphs.data.graph import Graph
from populace.graphs.data.graph_set import GraphSet
from populace.graphs.models.node_network import check_prepared, on_graph
from populace.graphs.models.standardized import StandardizedGraphs, unwrapped
from populace.graphs.plots.draw import MOST, draw, draw_convolution, draw_neighbors
from populace.graphs.plots.layer_activations import steps
from populace.nn.graph.graph_attention import GATConv, GATv2Conv
from populace.supervised import plots

_ATTENTIVE = (GATConv, GATv2Conv)
_BY_SOURCE = "input gradient times input, of the edge's source"


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a network's output for one node, or for one graph, hangs on.

    Args:
        output: the output explained: the index of a class, a label, or a number.
        nodes: importance of each node's features, (N,), 0 or more; see
            [`influence`][populace.graphs.plots.explain.influence].
        edges: importance of each edge of the graph as it was prepared, (E,), 0 or more.
        method: in words, how the importance of edges was measured.

    """

    output: int
    nodes: np.ndarray
    edges: np.ndarray
    method: str


def explained(graph: Graph, network: Any, node: int | str, output: int | None = None) -> Explanation:
    """Return what an output of a node hangs on; by default its largest output, the likeliest class.

    A learner's `explain(model, node)` calls it with its own graph, prepared as the network asks.

    Raises:
        UsageError: a graph that is not prepared, or a node or an output that is not there.

    """
    check_prepared(graph, network)
    graph, network = unwrapped(graph, network)
    node = graph.node_index(node)
    outputs = np.asarray(_outputs(network, _features(graph), graph))[node]
    chosen = _checked_output(outputs, output)
    nodes = influence(graph, network, node, chosen)
    if isinstance(network.layers[0] if hasattr(network, "layers") else None, _ATTENTIVE):
        edges = attention(graph, network)
        return Explanation(chosen, nodes, edges, "attention of the first layer, mean over heads")
    return Explanation(chosen, nodes, _at_sources(graph, nodes), _BY_SOURCE)


def explained_graph(data: GraphSet, network: Any, index: int, output: int | None = None) -> Explanation:
    """Return what an output for one graph of a set hangs on; by default its largest output.

    Nodes and edges are those of `data.graph(index)`. A learner's `explain(model, index)` calls it.

    Raises:
        UsageError: a graph or an output that is not there.

    """
    if not 0 <= index < data.graphs:
        raise UsageError(f"there is no graph {index}; graphs are numbered 0 to {data.graphs - 1}")
    batch = eqx.filter_jit(data.batch)(jnp.array([index]), data.batch_shape(1))
    if isinstance(network, StandardizedGraphs):
        batch, network = network.scaled(batch), network.network
    outputs = np.asarray(eqx.filter_jit(network)(batch))[0]
    chosen = _checked_output(outputs, output)

    @jax.jit
    def product(x: jax.Array) -> jax.Array:
        def found(x: jax.Array) -> jax.Array:
            return network(eqx.tree_at(lambda b: b.x, batch, x))[0, chosen]

        return jnp.abs(x * jax.grad(found)(x)).sum(1)

    graph = data.graph(index)
    nodes = np.asarray(product(batch.x))[: graph.nodes]
    return Explanation(chosen, nodes, _at_sources(graph, nodes), _BY_SOURCE)


def attention(graph: Graph, network: Any) -> np.ndarray:
    """Return how much attention each edge gets in the first layer, the mean over heads, (E,).

    Over the edges into a node it sums to 1. Attention says what a layer took in, not what the outcome
    hangs on; for that see [`influence`][populace.graphs.plots.explain.influence].

    Raises:
        UsageError: a graph that is not prepared as the network asks, or, through the layer, features that do
            not fit.

    """
    check_prepared(graph, network)
    graph, network = unwrapped(graph, network)
    layer = network.layers[0]
    return np.asarray(
        eqx.filter_jit(layer.attention)(_features(graph), graph.edges, graph.edge_features)
    ).mean(-1)


def influence(graph: Graph, network: Any, node: int | str, output: int | None = None) -> np.ndarray:
    """Return how much each node's features mattered to a node's likeliest class, or another output, (N,).

    `I_j = |x_j * d(output of the node) / d x_j|_1`, the input gradient times the input (Shrikumar et al.
    2017, arXiv:1605.01713): how far the output would fall, to first order, were the features of node j
    switched off one by one.

    Raises:
        UsageError: a graph that is not prepared as the network asks, or a node that is not there.

    """
    check_prepared(graph, network)
    graph, network = unwrapped(graph, network)
    node, x = graph.node_index(node), _features(graph)

    def chosen(values: jax.Array) -> jax.Array:
        given = values if isinstance(x, jax.Array) else type(x)(x.edges, values)
        outputs = on_graph(network, given, graph)[node]
        return jnp.max(outputs) if output is None else outputs[output]

    values = x if isinstance(x, jax.Array) else jnp.asarray(x.values)
    product = np.abs(np.asarray(jax.jit(lambda values: values * jax.grad(chosen)(values))(values)))
    if isinstance(x, jax.Array):
        return product.sum(1)
    return np.bincount(x.edges.targets, product, minlength=graph.nodes)


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
        found = explained(graph, model.network, node)
        drawn = draw_neighbors(graph, node, found.edges)
        truth = f"true class {names[y[node]]}, predicted {names[said[node]]}"
        caption = f"{drawn.caption} ({found.method}); {truth} with {probabilities[node].max():.0%}"
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


def _checked_output(outputs: np.ndarray, output: int | None) -> int:
    """Return the index of an output, by default of the largest."""
    chosen = int(outputs.argmax()) if output is None else output
    if not 0 <= chosen < len(outputs):
        raise UsageError(f"there is no output {output}; outputs are numbered 0 to {len(outputs) - 1}")
    return chosen


def _at_sources(graph: Graph, nodes: np.ndarray) -> np.ndarray:
    return nodes[graph.edges.sources].astype(np.float64)


@eqx.filter_jit
def _outputs(network: Any, x: Any, graph: Graph) -> jax.Array:
    return on_graph(network, x, graph)


def _features(graph: Graph) -> Any:
    return jnp.asarray(graph.x) if isinstance(graph.x, np.ndarray) else graph.x
