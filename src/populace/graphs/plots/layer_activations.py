"""Node values before, within and after the first layer of a network."""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from populace.graphs.data.graph import Graph
from populace.graphs.models.node_network import Predict, check_prepared
from populace.graphs.models.standardized import StandardizedNodes, unwrapped
from populace.nn.graph.graph_attention import GATConv, GATv2Conv
from populace.nn.graph.graph_conv import GINConv, GINEConv, GraphConv, SAGEConv, dense


@dataclass(frozen=True)
class Steps:
    """Three values of each node: before the layer, on the way, and the first of its outputs.

    Args:
        titles: what each of the three is.
        values: (N,) each.
        alike: whether the second and the third are the same quantity, for one scale of colors.

    """

    titles: tuple[str, str, str]
    values: tuple[np.ndarray, np.ndarray, np.ndarray]
    alike: bool = True


def steps(graph: Graph, network: Any, x: Any) -> Steps | None:
    """Return the steps of a network's first layer, or None where it does not listen to other nodes.

    Args:
        graph: normalized as the network asks.
        network: a `NodeNetwork`.
        x: the features, as the network takes them.

    Raises:
        UsageError: a graph that is not prepared as the network asks.

    """
    check_prepared(graph, network)
    if isinstance(network, StandardizedNodes):
        graph, network = unwrapped(graph, network)
        x = jnp.asarray(graph.x)
    layer = network.layers[0]
    if isinstance(layer, GINConv | GINEConv):
        return _gathered(graph, layer, x)
    if isinstance(layer, GATConv | GATv2Conv):
        wide = x @ (layer.weight if isinstance(layer, GATConv) else layer.from_weight)
        # The first output is that of the first head, or the mean over heads of the first of each.
        middle = wide[:, 0]
        if layer.join == "mean":
            middle = wide[:, :: (layer.source if isinstance(layer, GATConv) else layer.score).shape[1]].mean(
                1
            )
        output = eqx.filter_jit(layer)(x, graph.edges, graph.edge_features)
        title, last = "after the linear step", "after attention: the layer's output"
    elif isinstance(layer, GraphConv | SAGEConv | Predict):
        output = eqx.filter_jit(layer)(x, graph.edges, graph.weight)
        if isinstance(layer, GraphConv):
            middle = (x @ layer.weight)[:, 0]
            title, last = "after the linear step", "after aggregation: the layer's output"
        elif isinstance(layer, SAGEConv):
            middle = (x @ layer.own)[:, 0]
            title, last = "the node's own part", "with its neighbors' part: the layer's output"
        else:
            middle = layer.dense(x)[:, 0]
            title, last = "after the linear step", "after propagation: the layer's output"
    else:
        return None
    degree = np.diff(graph.edges.rows.offsets)
    return Steps(("edges into the node", title, last), (degree, np.asarray(middle), np.asarray(output)[:, 0]))


def _gathered(graph: Graph, layer: GINConv | GINEConv, x: Any) -> Steps:
    """Return the steps of a layer that aggregates first: of the feature that the nodes have most of."""
    features = np.asarray(dense(x))
    feature = int(np.abs(features).sum(0).argmax())
    of_edges = graph.edge_features if isinstance(layer, GINEConv) else graph.weight

    @eqx.filter_jit
    def run(layer: Any, x: Any, of_edges: Any) -> tuple[Any, Any]:
        return layer.gather(x, graph.edges, of_edges), layer(x, graph.edges, of_edges)

    inner, outer = run(layer, x, of_edges)
    gathered, output = np.asarray(inner)[:, feature], np.asarray(outer)[:, 0]
    titles = f"feature {feature}", f"feature {feature} after aggregation", "after the MLP: the layer's output"
    return Steps(titles, (features[:, feature], gathered, output), alike=False)
