"""Pictures of roles on a board: paths of agents, and how often each was where."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from populace.rl.multi_agent.environments.draw import color


def trajectories(path: np.ndarray, size: int) -> np.ndarray:
    """Return an image of the cells (steps, N, 2), as (row, column), of each agent of one episode.

    Lines of different agents are set apart a little; a ring is where one began, a disc where it ended.
    """
    side = min(5.6, 1.2 + 0.5 * size)
    figure = Figure((side, side), dpi=100)
    axes = figure.add_subplot()
    team = path.shape[1]
    for i in range(team):
        off = 0.24 * (i - (team - 1) / 2) / max(team - 1, 1)
        y, x = path[:, i].T + off
        axes.plot(x, y, color=color(i), linewidth=2.2, alpha=0.85, label=f"{i + 1}")
        axes.plot(x[:1], y[:1], "o", markerfacecolor="white", color=color(i), markersize=9)
        axes.plot(x[-1:], y[-1:], "o", color=color(i), markersize=9)
    _board(axes, size)
    axes.legend(title="agent", loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return _pixels(figure)


def heat_maps(cells: np.ndarray, size: int) -> np.ndarray:
    """Return an image with a map for each agent: the share of the steps that it was in each cell.

    Args:
        cells: (row, column) of each agent, (steps, N, 2).
        size: cells along a side.

    """
    team = cells.shape[1]
    columns = min(team, 4)
    rows = -(-team // columns)
    figure = Figure((2.6 * columns + 0.3, 2.7 * rows + 0.3), dpi=100)
    for i in range(team):
        counts = np.zeros((size, size))
        np.add.at(counts, tuple(cells[:, i].T), 1.0)
        axes = figure.add_subplot(rows, columns, i + 1)
        shades = LinearSegmentedColormap.from_list("agent", ["#fbfbf9", color(i)])
        share = counts / counts.sum()
        axes.imshow(share, cmap=shades, vmin=0)
        if size <= 6:
            for (row, column), value in np.ndenumerate(share):
                axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", size=8)
        axes.set_title(f"agent {i + 1}" + (", %" if size <= 6 else ""), size=10)
        _board(axes, size)
    return _pixels(figure)


def _board(axes: object, size: int) -> None:
    axes.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5), aspect="equal", xticks=[], yticks=[])  # pyright: ignore
    for at in np.arange(-0.5, size):
        axes.axhline(at, color="#d5dae0", linewidth=0.6, zorder=0)  # pyright: ignore
        axes.axvline(at, color="#d5dae0", linewidth=0.6, zorder=0)  # pyright: ignore


def _pixels(figure: Figure) -> np.ndarray:
    figure.tight_layout()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    return image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
