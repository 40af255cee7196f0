"""Rendering of environments of several agents: a color per agent, drawn by Matplotlib without a display."""

from functools import singledispatch
from typing import Any

import numpy as np

from populace.core.errors import UsageError
from populace.rl.environments.worlds.draw import CELL, INK, LINE, MUTED, Canvas
from populace.rl.multi_agent.environments import cleaning_robots, foraging, matrix_games, particles

COLORS = (  # Okabe and Ito 2008: distinguishable with any color vision
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#3c3c3c",
)  # fmt: skip
DIRT = "#d9cdb8"


def color(agent: int) -> str:
    """Return the color of an agent."""
    return COLORS[agent % len(COLORS)]


@singledispatch
def draw(world: Any, state: Any) -> np.ndarray:
    """Return the image of a state, (height, width, 3) uint8, with even sizes as video encoders need them.

    Raises:
        UsageError: an environment that cannot be rendered.

    """
    del state
    raise UsageError(
        f"{world.name} cannot be rendered; register a function with populace's `draw` for its class"
    )


def renders(world: Any) -> bool:
    """Return whether there is a drawing of a world."""
    return draw.dispatch(type(world)) is not draw.dispatch(object)


@draw.register
def _(world: cleaning_robots.CleaningRobots, state: cleaning_robots.State) -> np.ndarray:
    size, scale = world.size, max(24, 400 // world.size)
    side, head = 2 * (scale * size // 2) + 32, 40
    canvas = Canvas(side, side + head, scale)
    off, top = 16 / scale, (16 + head) / scale
    for row, column in np.ndindex(size, size):
        cleaner = int(state.cleaner[row, column])
        fill = DIRT if state.dirty[row, column] else CELL if cleaner < 0 else color(cleaner)
        canvas.box(
            off + column + 0.03, top + row + 0.03, 0.94, 0.94, fill, alpha=0.28 if cleaner >= 0 else 1.0
        )
    for i, (row, column) in enumerate(np.asarray(state.cell)):
        canvas.disc(off + column + 0.5, top + row + 0.5, 0.34, color(i))
        canvas.text(off + column + 0.5, top + row + 0.5, str(i + 1), 11, "white")
    left = int(np.asarray(state.dirty).sum())
    end = "all clean" if left == 0 else "wall or collision" if state.over else f"{left} dirty"
    canvas.text(off, 20 / scale, f"step {int(state.time)} of {world.horizon}: {end}", 11, INK, "left")
    return canvas.pixels()


@draw.register
def _(world: matrix_games.TwoStep, state: Any) -> np.ndarray:
    canvas = Canvas(400, 200, 80)
    for i, (x, y, name) in enumerate(((0.2, 0.85, "choose"), (2.7, 0.2, "7"), (2.7, 1.5, "0 1 / 1 8"))):
        here = int(state.index) == i
        canvas.rounded(x, y, 1.9, 0.8, 0.1, color(0) if here else CELL)
        canvas.text(x + 0.95, y + 0.4, name, 13, "white" if here else INK)
    return canvas.pixels()


@draw.register
def _(world: matrix_games.MatrixGame, state: Any) -> np.ndarray:
    n = len(world.payoff)
    canvas = Canvas(n * 80 + 20, n * 80 + 60, 80)
    for row, column in np.ndindex(n, n):
        canvas.box(column + 0.15, row + 0.52, 0.94, 0.94, CELL, edgecolor=LINE, linewidth=1)
        canvas.text(column + 0.62, row + 0.99, f"{world.payoff[row, column]:g}", 14)
    canvas.text(0.15, 0.25, f"play {int(state.time)} of {world.horizon}", 11, MUTED, "left")
    return canvas.pixels()


@draw.register
def _(world: particles.ParticleWorld, state: particles.State) -> np.ndarray:
    canvas = Canvas(440, 440, 150)
    middle = 440 / 300
    for x, y in np.asarray(state.landmark):
        canvas.disc(middle + x, middle - y, world.landmark_radius, INK, alpha=0.7)
    for i, (x, y) in enumerate(np.asarray(state.place)):
        canvas.disc(middle + x, middle - y, float(world.radius[i]), color(i), alpha=0.6)
    canvas.text(0.08, 0.12, f"step {int(state.time)} of {world.horizon}", 11, MUTED, "left")
    return canvas.pixels()


@draw.register
def _(world: foraging.Foraging, state: foraging.State) -> np.ndarray:
    size, scale = world.size, max(30, 400 // world.size)
    side, head = 2 * (scale * size // 2) + 32, 40
    canvas = Canvas(side, side + head, scale)
    off, top = 16 / scale, (16 + head) / scale
    for row, column in np.ndindex(size, size):
        canvas.box(off + column + 0.03, top + row + 0.03, 0.94, 0.94, CELL)
    for (row, column), level in zip(np.asarray(state.food), np.asarray(state.food_level)):
        if level > 0:
            canvas.rounded(off + column + 0.2, top + row + 0.2, 0.6, 0.6, 0.1, "#7a9a3a")
            canvas.text(off + column + 0.5, top + row + 0.5, str(level), 11, "white")
    for i, ((row, column), level) in enumerate(zip(np.asarray(state.cell), np.asarray(state.level))):
        canvas.disc(off + column + 0.5, top + row + 0.5, 0.36, color(i))
        canvas.text(off + column + 0.5, top + row + 0.5, str(level), 11, "white")
    canvas.text(off, 20 / scale, f"step {int(state.time)} of {world.horizon}", 11, INK, "left")
    return canvas.pixels()
