"""A small graph, features for its nodes, and layers bound to it, so that the harness can call them."""

import equinox as eqx
import numpy as np

from populace.nn.graph.edges import EdgeIndex
from populace.nn.graph.graph_attention import GATConv, GATv2Conv
from populace.nn.graph.graph_conv import GINEConv
from tests.nn.draws import draw

NODES, WIDTH = 7, 5


def graph(seed=0, edges=18):
    """Node 6 has no edge at all; edges may repeat and be loops."""
    draws = np.random.default_rng(seed)
    sources, targets = draws.integers(0, NODES - 1, (2, edges))
    found, _ = EdgeIndex.of(sources, targets, (NODES, NODES))
    return found, draws.uniform(0.2, 1.5, edges).astype(np.float32)


def features(width=WIDTH):
    return draw(NODES, width, seed=1)


def edge_features(count=18, width=3):
    return draw(count, width, seed=2)


class Bound(eqx.Module):
    """A layer with its graph, called on features alone."""

    layer: eqx.Module
    edges: EdgeIndex
    weight: np.ndarray | None

    def __init__(self, layer, edges, weight=None):
        self.layer, self.edges, self.weight = layer, edges, weight

    def __call__(self, x, edge_features=None):
        if isinstance(self.layer, GATConv | GATv2Conv | GINEConv):
            return self.layer(x, self.edges, edge_features)
        return self.layer(x, self.edges, self.weight)
