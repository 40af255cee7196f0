"""Small sets of graphs."""

import numpy as np

from populace.graphs import Graph, GraphSet


def some_graphs(count: int = 6, seed: int = 0) -> GraphSet:
    """Graphs of 1 to `count` nodes, with duplicates, loops and graphs without edges, and 3 features."""
    rng = np.random.default_rng(seed)
    graphs = [
        Graph.of(*rng.integers(0, n, (2, 2 * n - 2)), n, x=rng.normal(size=(n, 3)))
        for n in range(1, count + 1)
    ]
    return GraphSet.of(graphs, np.arange(count) % 2, names=("even", "odd"), name="some")
