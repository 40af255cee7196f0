"""Rendering of the worlds: each state as an image, drawn by Matplotlib without a display."""

from functools import singledispatch
from typing import Any

import jax
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Polygon, Rectangle

from populace.core.errors import UsageError
from populace.rl.environments.worlds import braking, channels, grid_robot, line_world, random_reward

INK, MUTED, LINE, PAPER, CELL = "#22272e", "#6b7480", "#c3cad3", "#fbfbf9", "#eef1f4"
BLUE, ORANGE, GREEN, RED = "#0072b2", "#e69f00", "#009e73", "#d55e00"
DPI = 100


class Canvas:
    """An image of `width` x `height` pixels, in units of `scale` pixels with the origin at the top left."""

    def __init__(self, width: int, height: int, scale: float) -> None:
        self._figure = Figure((width / DPI, height / DPI), dpi=DPI, facecolor=PAPER)
        self._canvas = FigureCanvasAgg(self._figure)
        self._axes: Any = self._figure.add_axes((0, 0, 1, 1), frameon=False)
        self._axes.set(xlim=(0, width / scale), ylim=(height / scale, 0), xticks=[], yticks=[])

    def box(self, x: float, y: float, width: float, height: float, color: str, **more: Any) -> None:
        """Draw a rectangle from its upper left corner."""
        self._axes.add_patch(Rectangle((x, y), width, height, **{"facecolor": color, "linewidth": 0} | more))

    def rounded(self, x: float, y: float, width: float, height: float, radius: float, color: str) -> None:
        """Draw a rectangle with round corners."""
        style = f"round,pad=0,rounding_size={radius}"
        self._axes.add_patch(
            FancyBboxPatch((x, y), width, height, boxstyle=style, facecolor=color, linewidth=0)
        )

    def disc(self, x: float, y: float, radius: float, color: str, **more: Any) -> None:
        """Draw a disc."""
        self._axes.add_patch(Circle((x, y), radius, **{"facecolor": color, "linewidth": 0} | more))

    def shape(self, points: Any, color: str) -> None:
        """Draw a polygon."""
        self._axes.add_patch(Polygon(np.asarray(points), closed=True, facecolor=color, linewidth=0))

    def text(
        self, x: float, y: float, line: str, size: float, color: str = INK, align: str = "center"
    ) -> None:
        """Write one line, centered on y; `size` in points."""
        self._axes.text(x, y, line, size=size, color=color, ha=align, va="center")

    def pixels(self) -> np.ndarray:
        """Return the image, (height, width, 3) uint8."""
        self._canvas.draw()
        return np.asarray(self._canvas.buffer_rgba())[..., :3].copy()


@singledispatch
def draw(world: Any, state: Any, params: Any) -> np.ndarray:
    """Return the image of a state, (height, width, 3) uint8, with even sizes as video encoders need them.

    For other Gymnax environments the observation is drawn, if it is a small board of channels.

    Raises:
        UsageError: an environment that cannot be rendered.

    """
    obs = np.asarray(world.observe(jax.random.key(0), state, None, params))
    if channels.is_board(obs):
        return channels.draw(obs)
    raise UsageError(
        f"{world.name} cannot be rendered; Braking, GridRobot, LineWorld, RandomReward and MinAtar's "
        "environments can"
    )


@draw.register
def _(world: line_world.LineWorld, state: line_world.State, params: Any) -> np.ndarray:
    canvas = Canvas(696, 126, 60)
    goal = line_world.CELLS - 1
    for cell in range(line_world.CELLS):
        color = "#d4efe5" if cell == goal else CELL
        canvas.rounded(1.04 + cell, 0.6, 0.92, 0.92, 0.12, color)
        canvas.text(1.5 + cell, 1.75, str(cell), 10, MUTED)
    canvas.text(1.5 + goal, 0.33, "goal", 11, GREEN)
    canvas.text(0.5, 1.06, "edge", 11, RED)
    at = 0.5 if state.fallen else 1.5 + int(state.cell)
    canvas.disc(at, 1.06, 0.3, RED if state.fallen else GREEN if state.cell == goal else BLUE)
    done = bool(world.is_terminated(state, params))
    outcome = "arrived" if state.cell == goal else "fell" if state.fallen else "too many moves"
    written = f"move {int(state.time)} of {line_world.MOVES}" + (f": {outcome}" if done else "")
    canvas.text(1.04, 0.33, written, 11, align="left")
    return canvas.pixels()


@draw.register
def _(world: random_reward.RandomReward, state: random_reward.State, params: Any) -> np.ndarray:
    canvas = Canvas(480, 200, 40)
    canvas.text(1, 0.75, f"step {int(state.time)} of {world.steps}", 12, align="left")
    canvas.box(1, 1.2, 10, 0.2, CELL)
    canvas.box(1, 1.2, 10 * min(int(state.time) / world.steps, 1), 0.2, MUTED)
    unit = 10 / (world.high - world.low)
    zero = 1 + unit * (min(max(0.0, world.low), world.high) - world.low)
    canvas.text(1, 2.15, "last reward", 12, align="left")
    canvas.box(1, 2.6, 10, 0.9, CELL)
    if state.time:
        reward = float(state.reward)
        end = 1 + unit * (reward - world.low)
        canvas.box(min(zero, end), 2.6, abs(end - zero), 0.9, GREEN if reward >= 0 else RED)
        canvas.text(11, 2.15, f"{reward:+.2f}", 12, align="right")
    canvas.box(zero - 0.03, 2.45, 0.06, 1.2, INK)
    canvas.text(1, 3.95, f"{world.low:g}", 10, MUTED, "left")
    canvas.text(11, 3.95, f"{world.high:g}", 10, MUTED, "right")
    return canvas.pixels()


@draw.register
def _(world: grid_robot.GridRobot, state: grid_robot.State, params: Any) -> np.ndarray:
    # Cells of at most 80 pixels, smaller on large grids so that the image fits a screen.
    side = 2 * max(8, min(40, 400 // max(world.width, world.height)))
    canvas = Canvas(side * (world.width + 1), side * (world.height + 1), side)
    for row in range(world.height):
        for column in range(world.width):
            canvas.box(0.5 + column, 0.5 + row, 1, 1, CELL, edgecolor=PAPER, linewidth=side / 40)
    for column, row in world.obstacles:
        canvas.rounded(0.56 + column, 0.56 + row, 0.88, 0.88, 0.08, MUTED)
    if not world.random_source:
        (column, row) = world.sources[0]
        canvas.disc(1 + column, 1 + row, 0.36, PAPER, edgecolor=LINE, linewidth=side / 30)
    column, row = world.target
    canvas.box(0.53 + column, 0.53 + row, 0.94, 0.94, "#d4efe5")
    canvas.disc(1 + column, 1 + row, 0.36, "#d4efe5", edgecolor=GREEN, linewidth=side / 20)
    canvas.disc(1 + column, 1 + row, 0.14, GREEN)
    ahead = np.asarray(grid_robot.AHEAD[int(state.heading)])
    aside = np.asarray([-ahead[1], ahead[0]])
    center = np.asarray([1 + int(state.column), 1 + int(state.row)])
    tail = center - 0.24 * ahead
    canvas.shape(
        [center + 0.34 * ahead, tail + 0.27 * aside, center - 0.1 * ahead, tail - 0.27 * aside], BLUE
    )
    return canvas.pixels()


@draw.register
def _(world: braking.Braking, state: braking.State, params: Any) -> np.ndarray:
    canvas = Canvas(800, 200, 40)
    speed, distance = float(state.speed), float(state.distance)
    hit = distance <= 0
    canvas.box(0, 3.2, 20, 0.5, "#4a525c")
    for mark in range(0, 151, 25):
        x = 18.4 - mark / 10
        canvas.box(x - 0.02, 3.7, 0.04, 0.16, MUTED)
        canvas.text(x, 4.15, f"{mark} m" if not mark else str(mark), 9, MUTED)
    canvas.box(18.4, 1.9, 0.35, 1.3, RED)
    for stripe in (2.15, 2.55, 2.95):
        canvas.box(18.4, stripe, 0.35, 0.16, PAPER)
    front = 18.4 - distance / 10
    color = RED if hit else BLUE
    canvas.rounded(front - 1.5, 2.6, 1.5, 0.45, 0.12, color)
    cabin = [(front - 1.25, 2.65), (front - 1.05, 2.25), (front - 0.6, 2.25), (front - 0.35, 2.65)]
    canvas.shape(cabin, color)
    for wheel in (front - 1.18, front - 0.36):
        canvas.disc(wheel, 3.05, 0.2, INK)
        canvas.disc(wheel, 3.05, 0.08, LINE)
    felt = float(state.deceleration)
    if felt > 1:
        canvas.rounded(front - 1.58, 2.68, 0.14, 0.2, 0.04, ORANGE)
    canvas.text(0.6, 0.55, f"{3.6 * speed:.0f} km/h", 14, align="left")
    canvas.text(4.0, 0.55, f"{distance:.1f} m left", 12, align="left")
    canvas.text(8.0, 0.55, f"deceleration {felt:.1f} m/s²", 12, align="left")
    canvas.text(0.6, 1.25, f"friction {float(state.friction):.2f}", 11, MUTED, "left")
    canvas.text(4.0, 1.25, f"{braking.STEP * int(state.time):.1f} s", 11, MUTED, "left")
    if state.feedback > 0:
        canvas.text(8.0, 1.25, "anti-lock at work", 11, ORANGE, "left")
    if hit or speed <= 0:
        canvas.text(19.4, 0.55, "collision" if hit else "stopped", 13, RED if hit else GREEN, "right")
    return canvas.pixels()
