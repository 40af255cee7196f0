"""One panel of a drawing: nodes, and edges between them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from populace.nn.graph.edges import EdgeIndex

LABELED = 60  # nodes that still have room for a number


@dataclass(frozen=True)
class Colors:
    """Values of nodes and how they become colors."""

    values: np.ndarray
    scale: Any
    low: float
    high: float
    classes: bool = False


def panel(
    axis: Any, edges: EdgeIndex, directed: bool, places: np.ndarray, colors: Colors, names: np.ndarray,
    widths: np.ndarray | None = None, center: int | None = None,
) -> None:  # fmt: skip
    """Draw nodes and edges between them; the collection of nodes is the last one of the axis."""
    from matplotlib.collections import LineCollection

    count = len(places)
    numbered = count <= LABELED
    area = float(np.clip(9000 / max(count, 1), 18, 300))
    if numbered:  # as wide as the longest number
        area = max(area, (4.6 * len(str(names.max(initial=0))) + 4) ** 2)
    sources, targets = edges.sources, edges.targets
    width = np.full(edges.count, float(np.clip(60 / max(count, 1), 0.5, 1.3))) if widths is None else widths
    ink: list[tuple[float, ...]] = [(0.35, 0.35, 0.35, 0.75)] * edges.count
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
    central = names == center
    axis.scatter(
        *places.T, s=area, c=colors.values, cmap=colors.scale, vmin=colors.low, vmax=colors.high,
        edgecolors=np.where(central, "black", "white"), linewidths=np.where(central, 2.2, 0.6), zorder=3,
    )  # fmt: skip
    if numbered:
        bright = (colors.values - colors.low) / (colors.high - colors.low) > 0.6
        dark = bright & (not colors.classes)
        for (x, y), name, black in zip(places, names, dark):
            ink_of_number = "black" if black else "white"
            axis.text(
                x, y, str(name), ha="center", va="center", zorder=4, fontsize=7, color=ink_of_number
            )  # fmt: skip
    axis.set(xticks=[], yticks=[])
    axis.margins(0.08)
    axis.spines[:].set_visible(False)


def _arrows(
    axis: Any, sources: np.ndarray, targets: np.ndarray, places: np.ndarray, width: Any, ink: Any, area: float
) -> None:
    """Draw an arrow for each edge, bent where there is one in the other direction too."""
    pairs = set(zip(sources.tolist(), targets.tolist()))
    gap = np.sqrt(area) / 2 + 1  # points from the middle of a node to its rim
    for s, t, w, color in zip(sources.tolist(), targets.tolist(), width, ink):
        if s == t:
            continue
        bend = "arc3,rad=0.14" if (t, s) in pairs else "arc3"
        head = float(np.clip(4 + 2.2 * w, 5, 13))
        axis.annotate(
            "", places[t], xytext=places[s], zorder=2,
            arrowprops={
                "arrowstyle": "-|>", "mutation_scale": head, "linewidth": w, "color": color,
                "shrinkA": gap, "shrinkB": gap, "connectionstyle": bend,
            },
        )  # fmt: skip


def _ink(strength: float) -> tuple[float, ...]:
    """Return gray for unimportant edges, dark blue for the most important one."""
    return tuple(
        (1 - strength) * np.array([0.72, 0.72, 0.72, 0.8]) + strength * np.array([0.06, 0.2, 0.5, 1])
    )


def _raised(axis: Any, points: float) -> Any:
    """Return the transformation of the axis, moved up by so many points."""
    from matplotlib.transforms import ScaledTranslation

    return axis.transData + ScaledTranslation(0, 1.15 * points / 72, axis.figure.dpi_scale_trans)
