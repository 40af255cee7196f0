"""Figures of graphs: node values, the effect of a convolution, and the important neighbors of a node."""

from typing import Any

import networkx as nx
import numpy as np

from populace.core.errors import UsageError
from populace.core.media import Image
from populace.graphs.data.graph import Graph
from populace.graphs.plots.drawing import LABELED, Colors, panel
from populace.graphs.plots.neighborhood import ego, sample, within
from populace.runs.figures import figure, to_image

MOST = 300  # nodes in a drawing
_SCALE = "viridis"
_CLASSES = 10  # that still have a color of their own


def draw(graph: Graph, values: Any = None, *, around: int | str | None = None, caption: str = "") -> Image:
    """Return a graph with its nodes colored by a value.

    Args:
        graph: of any size; of a graph of more than 300 nodes those nearest to one node are drawn.
        values: (N,) numbers, by default the classes, else how many edges go into a node.
        around: the node to draw around, by default the one with the most neighbors.
        caption: caption of the figure.

    Raises:
        UsageError: values of another length than the nodes, or a node index out of range.

    """
    chosen, note = sample(graph, around, MOST)
    shown = None if values is None and graph.classes else values
    if values is None and not graph.classes:
        shown = np.diff(graph.edges.rows.offsets)
    part, _ = within(graph.edges, chosen)
    drawn, axis = figure(7.4, 6.2)
    colors = _colors(graph, shown, chosen)
    panel(axis, part, graph.directed, _layout(graph, chosen), colors, chosen)
    what = "edges into the node" if values is None else ""
    _key(drawn, axis, graph, colors, what)
    return to_image(drawn, ". ".join(filter(None, (caption or f"The graph {graph.name}", note))))


def draw_convolution(
    graph: Graph, before: Any, linear: Any, after: Any, *, around: int | str | None = None,
    titles: tuple[str, str, str] = ("before", "after the linear step", "after aggregation"),
    alike: bool = True, caption: str = "",
) -> Image:  # fmt: skip
    """Return a graph three times: before a graph convolution, after its linear step, after its aggregation.

    The second and third share one scale of colors, so that what aggregation evens out is seen, unless they
    are not alike.

    Args:
        graph: as for `draw`.
        before: (N,) a value of each node before the convolution.
        linear: (N,) a value of each node after the linear step, which no other node has a part in.
        after: (N,) the same value after aggregation over the edges.
        around: as for `draw`.
        titles: of the three, for layers whose steps are others.
        alike: whether the second and the third are values of one kind.
        caption: what the picture shows.

    Raises:
        UsageError: another number of values than nodes, or a node that is not there.

    """
    chosen, note = sample(graph, around, MOST)
    panels = [
        _values(name, given, graph.nodes)[chosen]
        for name, given in (("before", before), ("linear", linear), ("after", after))
    ]
    places = _layout(graph, chosen)
    part, _ = within(graph.edges, chosen)
    drawn, axes = figure(15.5, 5.2, ncols=3)
    limits = [_limits(shown) for shown in panels]
    if alike:
        limits[1:] = [_limits(np.concatenate(panels[1:]))] * 2
    for axis, shown, limit, title in zip(axes, panels, limits, titles):
        panel(axis, part, graph.directed, places, Colors(shown, _SCALE, *limit), chosen)
        axis.set_title(title, fontsize=11)
    for group in (axes[:1], axes[1:]) if alike else (axes[:1], axes[1:2], axes[2:]):
        drawn.colorbar(group[-1].collections[-1], ax=group, fraction=0.046 / len(group))
    return to_image(drawn, ". ".join(filter(None, (caption or f"A graph convolution on {graph.name}", note))))


def draw_neighbors(
    graph: Graph, node: int | str, importance: Any, hops: int = 2, *, values: Any = None, most: int = 40
) -> Image:
    """Draw the neighborhood of a node, with edges as wide as they are important to it.

    Args:
        graph: the graph.
        node: the one that is explained.
        importance: (E,) importance of each edge, in the order of `graph.edges`; 0 or more.
        hops: how many edges away nodes may be.
        values: (N,) numbers that color the nodes, by default the classes.
        most: nodes that are drawn; beyond that, those that the most important edges lead to.

    Raises:
        UsageError: a node that is not there, or numbers that do not fit or are below 0.

    """
    given = _values("importance", importance, graph.edges.count, "edges")
    if (given < 0).any():
        raise UsageError(f"importance of edge {given.argmin()} is {given.min():g}; expected 0 or more")
    node = graph.node_index(node)
    chosen, left_out = ego(graph, node, hops, most, given)
    part, kept = within(graph.edges, chosen)
    weights = given[kept]
    drawn, axis = figure(7.4, 6.2)
    colors = _colors(graph, np.zeros(graph.nodes) if values is None and not graph.classes else values, chosen)
    widths = 0.4 + 3.6 * weights / (weights.max(initial=0) or 1)
    panel(axis, part, True, _layout(graph, chosen, node), colors, chosen, widths, node)
    if values is not None or graph.classes:
        _key(drawn, axis, graph, colors, "")
    note = f"; {left_out} nodes left out" if left_out else ""
    called = graph.node_names[node] if graph.node_names else node
    return to_image(
        drawn,
        f"Neighborhood of node {called} of {graph.name}: {len(chosen)} nodes up to {hops} hops away{note}. "
        "Wider edges are more important",
    )


def _colors(graph: Graph, values: Any, chosen: np.ndarray) -> Colors:
    """Return how nodes are colored by values, or by classes where there are none."""
    if values is not None:
        shown = _values("values", values, graph.nodes)
        return Colors(shown[chosen], _SCALE, *_limits(shown[chosen]))
    if graph.classes > _CLASSES:
        return Colors(graph.y[chosen].astype(float), _SCALE, 0, graph.classes - 1)
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    colors = colormaps["tab10"].colors[: graph.classes]  # type: ignore[attr-defined]
    scale = ListedColormap(colors).with_extremes(under="0.6")  # gray is an unknown class
    return Colors(graph.y[chosen].astype(float), scale, -0.5, graph.classes - 0.5, classes=True)


def _key(drawn: Any, axis: Any, graph: Graph, colors: Colors, what: str) -> None:
    """Draw what the colors mean."""
    if not colors.classes:
        drawn.colorbar(axis.collections[-1], ax=axis, fraction=0.035, label=what)
        return
    names = graph.names or tuple(f"class {c}" for c in range(graph.classes))
    for c in np.unique(colors.values).astype(int):
        axis.scatter(
            [],
            [],
            color=colors.scale.colors[c] if c >= 0 else "0.6",
            label=names[c] if c >= 0 else "unknown",
        )
    axis.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))


def _layout(graph: Graph, chosen: np.ndarray, center: int | None = None) -> np.ndarray:
    """Return where the nodes lie, (n, 2), the same every time; nodes that hear each other lie together."""
    part, _ = within(graph.edges, chosen)
    net = nx.Graph()
    net.add_nodes_from(range(len(chosen)))
    net.add_edges_from(zip(part.sources.tolist(), part.targets.tolist()))
    net.remove_edges_from(nx.selfloop_edges(net))
    if len(chosen) <= LABELED and len(chosen) > 1 and nx.is_connected(net):
        start = nx.circular_layout(net)
        if center is not None:
            start[int(np.flatnonzero(chosen == center)[0])] = np.zeros(2)
        found = nx.kamada_kawai_layout(net, pos=start)
    else:
        found = nx.spring_layout(net, k=1.6 / np.sqrt(max(len(chosen), 1)), iterations=120, seed=0)
    return np.array([found[i] for i in range(len(chosen))]).reshape(-1, 2)


def _values(name: str, values: Any, count: int, what: str = "nodes") -> np.ndarray:
    found = np.asarray(values, np.float64)
    if found.shape != (count,):
        raise UsageError(
            f"{name} have shape {found.shape}, expected ({count},), one for each of {count} {what}"
        )
    if not np.isfinite(found).all():
        raise UsageError(f"{name} hold NaN or infinity in place {np.isfinite(found).argmin()}")
    return found


def _limits(values: np.ndarray) -> tuple[float, float]:
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
