"""Images of a table of action values: a map with arrows for grid worlds, otherwise a heat map."""

from typing import Any

import numpy as np

from populace.core.media import Image
from populace.rl.planning import enumeration
from populace.rl.task import Task
from populace.runs.figures import figure, to_image

_ARROWS = ("\N{LEFTWARDS ARROW}", "\N{DOWNWARDS ARROW}", "\N{RIGHTWARDS ARROW}", "\N{UPWARDS ARROW}")


def draw(task: Task, bins: tuple[int, ...], q: np.ndarray) -> Image:
    """Return an image of a table.

    Args:
        task: the environment.
        bins: number of bins per dimension, if the states are bins of a continuous observation.
        q: action values, (S, A).

    """
    if len(bins) == 2:
        return _plane(bins, q)
    if not bins:
        environment = enumeration.unwrapped(task)
        if type(environment).__name__ in ("FrozenLake", "FrozenLakeEnv"):
            return _lake(np.asarray(environment.desc), q)
        if type(environment).__name__ == "GridRobot":
            return _robot(environment, q)
    return _rows(q)


def _lake(tiles: np.ndarray, q: np.ndarray) -> Image:
    rows, columns = tiles.shape
    # Gymnax stores tiles as numbers, Gymnasium as letters.
    letters = np.array(["S", "F", "H", "G"])[tiles] if tiles.dtype.kind == "i" else tiles.astype(str)
    done = np.isin(letters, ["H", "G"])
    best = np.where(done, np.nan, q.max(axis=1).reshape(rows, columns))
    drawn, axes = figure(1.0 + 0.9 * columns, 0.6 + 0.9 * rows)
    shown = axes.imshow(best, cmap="viridis", vmin=min(0.0, np.nanmin(best)))
    drawn.colorbar(shown, label="max Q", shrink=0.8)
    middle = (np.nanmin(best) + np.nanmax(best)) / 2
    for (row, column), letter in np.ndenumerate(letters):
        value = best[row, column]
        color = "black" if np.isnan(value) or value > middle else "white"
        text = letter
        if not done[row, column]:
            text = f"{_ARROWS[int(q[row * columns + column].argmax())]}\n{value:.2f}"
        axes.text(column, row, text, ha="center", va="center", color=color)
    _bare(axes)
    return to_image(drawn, "value and greedy action of each cell; H hole, G goal")


def _robot(world: Any, q: np.ndarray) -> Image:
    """Draw one map per heading, with the letter of the greedy action."""
    headings = ("north", "east", "south", "west")
    grid = q.reshape(world.height, world.width, len(headings), -1)
    closed = np.zeros(grid.shape[:2], bool)
    for column, row in (*world.obstacles, world.target):
        closed[row, column] = True
    best = np.where(closed[..., None], np.nan, grid.max(axis=-1))
    drawn, axes = figure(1.0 + 2.4 * len(headings), 2.8, ncols=len(headings))
    middle, shown = (np.nanmin(best) + np.nanmax(best)) / 2, None
    for k, (one, heading) in enumerate(zip(axes, headings)):
        shown = one.imshow(best[..., k], cmap="viridis", vmin=np.nanmin(best), vmax=np.nanmax(best))
        for row, column in np.argwhere(~closed) if closed.size <= 100 else ():
            action, value = int(grid[row, column, k].argmax()), best[row, column, k]
            color = "black" if value > middle else "white"
            one.text(column, row, "LRF"[action], ha="center", va="center", color=color)
        one.text(*world.target, "T", ha="center", va="center")
        one.set_title(f"heading {heading}")
        _bare(one)
    drawn.colorbar(shown, ax=axes, label="max Q", shrink=0.8)
    return to_image(drawn, "value of each cell by heading; L turns left, R right, F drives forward; T target")


def _plane(bins: tuple[int, ...], q: np.ndarray) -> Image:
    drawn, axes = figure(9.0, 4.0, ncols=2)
    grid = q.reshape(*bins, -1)
    panels: list[tuple[str, np.ndarray, dict[str, Any]]] = [
        ("max Q", grid.max(axis=-1), {"cmap": "viridis"}),
        ("greedy action", grid.argmax(axis=-1), {"cmap": "tab10", "vmin": 0, "vmax": 9}),
    ]
    for one, (title, values, style) in zip(axes, panels):
        shown = one.imshow(values.T, origin="lower", aspect="auto", **style)
        ticks = {"ticks": range(q.shape[1])} if title == "greedy action" else {}
        drawn.colorbar(shown, ax=one, boundaries=np.arange(q.shape[1] + 1) - 0.5 if ticks else None, **ticks)
        one.set(title=title, xlabel="bin of dimension 0", ylabel="bin of dimension 1")
    return to_image(drawn, "value and greedy action in each bin of the observation")


def _rows(q: np.ndarray) -> Image:
    states, actions = q.shape
    drawn, axes = figure(float(np.clip(2 + 0.3 * states, 5, 12)), 1.2 + 0.35 * min(actions, 12))
    shown = axes.imshow(q.T, cmap="viridis", aspect="auto", interpolation="nearest")
    drawn.colorbar(shown, label="Q")
    if states <= 200:
        axes.plot(
            np.arange(states), q.argmax(axis=1), "o", color="white", markeredgecolor="black", markersize=4
        )
    axes.set(xlabel="state", ylabel="action", yticks=range(actions) if actions <= 12 else [])
    return to_image(drawn, "value of each action in each state; the dot is the greedy action")


def _bare(axes: Any) -> None:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
