"""Selection of the nodes of a large graph to draw: those nearest to one node."""

import numpy as np

from populace.graphs.data.graph import Graph
from populace.nn.graph.edges import EdgeIndex


def sample(graph: Graph, around: int | str | None, most: int) -> tuple[np.ndarray, str]:
    """Return the nodes to draw, and what to say of those that are not."""
    if around is None and graph.nodes <= most:
        return np.arange(graph.nodes), ""
    degrees = np.bincount(graph.edges.sources, minlength=graph.nodes) + np.diff(graph.edges.rows.offsets)
    node = int(degrees.argmax()) if around is None else graph.node_index(around)
    chosen, _ = ego(graph, node, graph.nodes, most, None)
    return chosen, f"Shown are {len(chosen)} of {graph.nodes:,} nodes, those nearest to node {node}"


def ego(
    graph: Graph, node: int, hops: int, most: int, importance: np.ndarray | None
) -> tuple[np.ndarray, int]:
    """Return up to so many nodes that are so few edges away, and how many more there are.

    With importance they are those that reach the node along edges, else direction does not matter.
    """
    distance = np.full(graph.nodes, -1)
    rank = np.zeros(graph.nodes)
    distance[node] = 0
    sources, targets = graph.edges.sources, graph.edges.targets
    for hop in range(1, hops + 1):
        inward = (distance[targets] == hop - 1) & (distance[sources] < 0)
        outward = (distance[sources] == hop - 1) & (distance[targets] < 0)
        if importance is not None:
            np.maximum.at(rank, sources[inward], importance[inward])
            outward[:] = False
        found = np.union1d(sources[inward], targets[outward])
        if not len(found):
            break
        distance[found] = hop
        if importance is None and (distance >= 0).sum() >= most:
            break
    there = np.flatnonzero(distance >= 0)
    order = there[np.lexsort((there, -rank[there], distance[there]))]
    return np.sort(order[:most]), len(order) - min(len(order), most)


def within(edges: EdgeIndex, chosen: np.ndarray) -> tuple[EdgeIndex, np.ndarray]:
    """Return the edges between chosen nodes, numbered anew, and which of all edges they are."""
    number = np.full(edges.size[0], -1, np.int32)
    number[chosen] = np.arange(len(chosen))
    kept = np.flatnonzero((number[edges.sources] >= 0) & (number[edges.targets] >= 0))
    part, order = EdgeIndex.of(
        number[edges.sources[kept]], number[edges.targets[kept]], (len(chosen), len(chosen))
    )
    return part, kept[order]
