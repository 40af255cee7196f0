"""Drawings of graphs: values of nodes, what a convolution does to them, and what mattered to a node."""

from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np

from populace.drawing import figure, picture
from populace.errors import UsageError
from populace.graphs.graph import Graph
from populace.learner import Picture
from populace.nn.arcs import Arcs

MOST = 300  # nodes in a drawing
_LABELLED = 60  # nodes that still have room for a number
_SCALE = "viridis"
_CLASSES = 10  # that still have a colour of their own


@dataclass(frozen=True)
class _Colours:
    """Values of nodes and how they become colours."""

    values: np.ndarray
    scale: Any
    low: float
    high: float
    classes: bool = False


def draw(graph: Graph, values: Any = None, *, around: int | None = None, caption: str = "") -> Picture:
    """Return a graph with its nodes coloured by a value.

    Args:
        graph: of any size; of a graph of more than 300 nodes those nearest to one node are drawn.
        values: (N,) numbers, by default the classes, else how many arcs go into a node.
        around: the node to draw around, by default the one with the most neighbours.
        caption: what the picture shows.

    Raises:
        UsageError: another number of values than nodes, or a node that is not there.

    """
    chosen, note = _sample(graph, around, MOST)
    shown = None if values is None and graph.classes else values
    if values is None and not graph.classes:
        shown = np.diff(graph.arcs.rows.offsets)
    part, _ = _within(graph.arcs, chosen)
    drawn, axis = figure(7.4, 6.2)
    colours = _colours(graph, shown, chosen)
    _panel(axis, part, graph.directed, _layout(graph, chosen), colours, chosen)
    what = "arcs into the node" if values is None else ""
    _key(drawn, axis, graph, colours, what)
    return picture(drawn, ". ".join(filter(None, (caption or f"The graph {graph.name}", note))))


def draw_convolution(
    graph: Graph, before: Any, linear: Any, after: Any, *, around: int | None = None
) -> Picture:
    """Return a graph three times: before a graph convolution, after its linear step, after its aggregation.

    The second and third share one scale of colours, so that what aggregation evens out is seen.

    Args:
        graph: as for `draw`.
        before: (N,) a value of each node before the convolution.
        linear: (N,) a value of each node after the linear step, which no other node has a part in.
        after: (N,) the same value after aggregation over the arcs.
        around: as for `draw`.

    Raises:
        UsageError: another number of values than nodes, or a node that is not there.

    """
    chosen, note = _sample(graph, around, MOST)
    panels = [
        _values(name, given, graph.nodes)[chosen]
        for name, given in (("before", before), ("linear", linear), ("after", after))
    ]
    places = _layout(graph, chosen)
    part, _ = _within(graph.arcs, chosen)
    drawn, axes = figure(15.5, 5.2, ncols=3)
    limits = [_limits(panels[0]), *[_limits(np.concatenate(panels[1:]))] * 2]
    titles = ("before", "after the linear step", "after aggregation")
    for axis, shown, limit, title in zip(axes, panels, limits, titles):
        _panel(axis, part, graph.directed, places, _Colours(shown, _SCALE, *limit), chosen)
        axis.set_title(title, fontsize=11)
    drawn.colorbar(axes[0].collections[-1], ax=axes[0], fraction=0.046)
    drawn.colorbar(axes[2].collections[-1], ax=axes[1:], fraction=0.023)
    return picture(drawn, ". ".join(filter(None, (f"A graph convolution on {graph.name}", note))))


def draw_neighbours(
    graph: Graph, node: int, importance: Any, hops: int = 2, *, values: Any = None, most: int = 40
) -> Picture:
    """Return the nodes around a node, with arcs as wide as they mattered to it.

    Args:
        graph: the graph.
        node: the one that is explained.
        importance: (E,) how much each arc mattered, in the numbering of the arcs; 0 or more.
        hops: how many arcs away nodes may be.
        values: (N,) numbers that colour the nodes, by default the classes.
        most: nodes that are drawn; beyond that, those that the most important arcs lead to.

    Raises:
        UsageError: a node that is not there, or numbers that do not fit or are below 0.

    """
    given = _values("importance", importance, graph.arcs.count, "arcs")
    if (given < 0).any():
        raise UsageError(f"importance of arc {given.argmin()} is {given.min():g}; expected 0 or more")
    chosen, left_out = _ego(graph, _node(graph, node), hops, most, given)
    part, kept = _within(graph.arcs, chosen)
    weights = given[kept]
    drawn, axis = figure(7.4, 6.2)
    colours = _colours(
        graph, np.zeros(graph.nodes) if values is None and not graph.classes else values, chosen
    )
    widths = 0.4 + 3.6 * weights / (weights.max(initial=0) or 1)
    _panel(axis, part, True, _layout(graph, chosen, node), colours, chosen, widths, node)
    if values is not None or graph.classes:
        _key(drawn, axis, graph, colours, "")
    note = f"; {left_out} nodes left out" if left_out else ""
    return picture(
        drawn,
        f"What mattered to node {node} of {graph.name}: {len(chosen)} nodes up to {hops} hops away{note}. "
        "The wider an arc, the more it mattered",
    )


def _panel(
    axis: Any, arcs: Arcs, directed: bool, places: np.ndarray, colours: _Colours, names: np.ndarray,
    widths: np.ndarray | None = None, centre: int | None = None,
) -> None:  # fmt: skip
    """Draw nodes and arcs between them; the collection of nodes is the last one of the axis."""
    from matplotlib.collections import LineCollection

    count = len(places)
    numbered = count <= _LABELLED
    area = float(np.clip(9000 / max(count, 1), 18, 300))
    if numbered:  # as wide as the longest number
        area = max(area, (4.6 * len(str(names.max(initial=0))) + 4) ** 2)
    sources, targets = arcs.sources, arcs.targets
    width = np.full(arcs.count, float(np.clip(60 / max(count, 1), 0.5, 1.3))) if widths is None else widths
    ink: list[tuple[float, ...]] = [(0.35, 0.35, 0.35, 0.75)] * arcs.count
    if widths is not None and widths.size:
        ink = [_ink(strength) for strength in (widths - widths.min()) / (np.ptp(widths) or 1)]
    loops = sources == targets
    if directed:
        _arrows(axis, sources, targets, places, width, ink, area)
    else:
        once = sources < targets
        lines = np.stack([places[sources[once]], places[targets[once]]], axis=1)
        axis.add_collection(
            LineCollection(list(lines), linewidths=width[once], colors=[(0.35,) * 3 + (0.6,)])
        )
    radius = np.sqrt(area) * 0.5
    for i in np.flatnonzero(loops):
        axis.scatter(
            *places[sources[i]], s=area * 0.9, facecolors="none", edgecolors=[ink[i]],
            linewidths=max(width[i], 0.8), zorder=1, transform=_raised(axis, radius),
        )  # fmt: skip
    central = names == centre
    axis.scatter(
        *places.T, s=area, c=colours.values, cmap=colours.scale, vmin=colours.low, vmax=colours.high,
        edgecolors=np.where(central, "black", "white"), linewidths=np.where(central, 2.2, 0.6), zorder=3,
    )  # fmt: skip
    if numbered:
        bright = (colours.values - colours.low) / (colours.high - colours.low) > 0.6
        dark = bright & (not colours.classes)
        for (x, y), name, black in zip(places, names, dark):
            ink_of_number = "black" if black else "white"
            axis.text(
                x, y, str(name), ha="center", va="center", zorder=4, fontsize=7, color=ink_of_number
            )  # fmt: skip
    axis.set(xticks=[], yticks=[])
    axis.margins(0.08)
    axis.spines[:].set_visible(False)


def _colours(graph: Graph, values: Any, chosen: np.ndarray) -> _Colours:
    """Return how nodes are coloured by values, or by classes where there are none."""
    if values is not None:
        shown = _values("values", values, graph.nodes)
        return _Colours(shown[chosen], _SCALE, *_limits(shown[chosen]))
    if graph.classes > _CLASSES:
        return _Colours(graph.y[chosen].astype(float), _SCALE, 0, graph.classes - 1)
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    colours = colormaps["tab10"].colors[: graph.classes]  # type: ignore[attr-defined]
    scale = ListedColormap(colours).with_extremes(under="0.6")  # grey is an unknown class
    return _Colours(graph.y[chosen].astype(float), scale, -0.5, graph.classes - 0.5, classes=True)


def _key(drawn: Any, axis: Any, graph: Graph, colours: _Colours, what: str) -> None:
    """Draw what the colours mean."""
    if not colours.classes:
        drawn.colorbar(axis.collections[-1], ax=axis, fraction=0.035, label=what)
        return
    names = graph.names or tuple(f"class {c}" for c in range(graph.classes))
    for c in np.unique(colours.values).astype(int):
        axis.scatter(
            [],
            [],
            color=colours.scale.colors[c] if c >= 0 else "0.6",
            label=names[c] if c >= 0 else "unknown",
        )
    axis.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))


def _arrows(
    axis: Any, sources: np.ndarray, targets: np.ndarray, places: np.ndarray, width: Any, ink: Any, area: float
) -> None:
    """Draw an arrow for each arc, bent where there is one in the other direction too."""
    pairs = set(zip(sources.tolist(), targets.tolist()))
    gap = np.sqrt(area) / 2 + 1  # points from the middle of a node to its rim
    for s, t, w, colour in zip(sources.tolist(), targets.tolist(), width, ink):
        if s == t:
            continue
        bend = "arc3,rad=0.14" if (t, s) in pairs else "arc3"
        head = float(np.clip(4 + 2.2 * w, 5, 13))
        axis.annotate(
            "", places[t], xytext=places[s], zorder=2,
            arrowprops={
                "arrowstyle": "-|>", "mutation_scale": head, "linewidth": w, "color": colour,
                "shrinkA": gap, "shrinkB": gap, "connectionstyle": bend,
            },
        )  # fmt: skip


def _ink(strength: float) -> tuple[float, ...]:
    """Return grey for an arc that did not matter, dark blue for the one that mattered most."""
    return tuple(
        (1 - strength) * np.array([0.72, 0.72, 0.72, 0.8]) + strength * np.array([0.06, 0.2, 0.5, 1])
    )


def _raised(axis: Any, points: float) -> Any:
    """Return the transformation of the axis, moved up by so many points."""
    from matplotlib.transforms import ScaledTranslation

    return axis.transData + ScaledTranslation(0, 1.15 * points / 72, axis.figure.dpi_scale_trans)


def _layout(graph: Graph, chosen: np.ndarray, centre: int | None = None) -> np.ndarray:
    """Return where the nodes lie, (n, 2), the same every time; nodes that hear each other lie together."""
    part, _ = _within(graph.arcs, chosen)
    net = nx.Graph()
    net.add_nodes_from(range(len(chosen)))
    net.add_edges_from(zip(part.sources.tolist(), part.targets.tolist()))
    net.remove_edges_from(nx.selfloop_edges(net))
    if len(chosen) <= _LABELLED and len(chosen) > 1 and nx.is_connected(net):
        start = nx.circular_layout(net)
        if centre is not None:
            start[int(np.flatnonzero(chosen == centre)[0])] = np.zeros(2)
        found = nx.kamada_kawai_layout(net, pos=start)
    else:
        found = nx.spring_layout(net, k=1.6 / np.sqrt(max(len(chosen), 1)), iterations=120, seed=0)
    return np.array([found[i] for i in range(len(chosen))]).reshape(-1, 2)


def _sample(graph: Graph, around: int | None, most: int) -> tuple[np.ndarray, str]:
    """Return the nodes to draw, and what to say of those that are not."""
    if around is None and graph.nodes <= most:
        return np.arange(graph.nodes), ""
    degrees = np.bincount(graph.arcs.sources, minlength=graph.nodes) + np.diff(graph.arcs.rows.offsets)
    node = int(degrees.argmax()) if around is None else _node(graph, around)
    chosen, _ = _ego(graph, node, graph.nodes, most, None)
    return chosen, f"Drawn are {len(chosen)} of its {graph.nodes:,} nodes, those nearest to node {node}"


def _ego(
    graph: Graph, node: int, hops: int, most: int, importance: np.ndarray | None
) -> tuple[np.ndarray, int]:
    """Return up to so many nodes that are so few arcs away, and how many more there are.

    With importance they are those that reach the node along arcs, else direction does not matter.
    """
    distance = np.full(graph.nodes, -1)
    rank = np.zeros(graph.nodes)
    distance[node] = 0
    sources, targets = graph.arcs.sources, graph.arcs.targets
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


def _within(arcs: Arcs, chosen: np.ndarray) -> tuple[Arcs, np.ndarray]:
    """Return the arcs between chosen nodes, numbered anew, and which of all arcs they are."""
    number = np.full(arcs.size[0], -1, np.int32)
    number[chosen] = np.arange(len(chosen))
    kept = np.flatnonzero((number[arcs.sources] >= 0) & (number[arcs.targets] >= 0))
    part, order = Arcs.of(number[arcs.sources[kept]], number[arcs.targets[kept]], (len(chosen), len(chosen)))
    return part, kept[order]


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


def _node(graph: Graph, node: int) -> int:
    if not 0 <= node < graph.nodes:
        raise UsageError(f"there is no node {node}; nodes are numbered 0 to {graph.nodes - 1}")
    return int(node)
