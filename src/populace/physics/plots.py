"""Figures of a solution: curves in one dimension, maps and slices in two, with error and residual."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.media import Image
from populace.physics.objective import Model, evaluate, fields
from populace.physics.problem.problem import Problem
from populace.runs.figures import figure, label, to_image

_FOUND, _TRUE, _ERROR = "#0f766e", "#94a3b8", "#ea580c"
_FINE, _CELLS, _SLICES = 400, 80, 5


def solution(problem: Problem, model: Model, stopped: str, dtype: str) -> dict[str, Image]:
    """Return figures of one member by name: each field, and with two coordinates its slices.

    Args:
        problem: what was solved.
        model: of the member.
        stopped: why its training ended, for the caption.
        dtype: of the numbers.

    """
    count = len(problem.domain.names)
    if count > 2:
        return {}
    at = _places(problem, _FINE if count == 1 else _CELLS)
    values = values_at(problem, model, at, dtype)
    pictures = {}
    for name in problem.fields:
        caption = f"Field {name}; training ended because {stopped}"
        draw = _curves if count == 1 else _maps
        pictures[name] = to_image(draw(problem, name, at, values), caption)
        if count == 2:
            drawn = _slices(problem, name, at, values)
            pictures[f"{name} in slices"] = to_image(
                drawn, f"Field {name} at fixed {problem.domain.names[1]}"
            )
    return pictures


def _places(problem: Problem, cells: int) -> np.ndarray:
    """Return a grid of points over the bounding box, its edges included, (n, d)."""
    axes = [np.linspace(a, b, cells) for a, b in zip(problem.domain.low, problem.domain.high)]
    return np.stack([m.ravel() for m in np.meshgrid(*axes, indexing="ij")], 1)


def values_at(problem: Problem, model: Model, at: np.ndarray, dtype: str) -> dict[str, np.ndarray]:
    """Return fields, exact solutions, and residuals of equations at points; NaN outside the domain."""

    @jax.jit
    def found(model: Model, points: Any) -> dict[str, Any]:
        columns = points.T
        coordinates = dict(zip(problem.domain.names, columns))
        values = dict(zip(problem.fields, fields(problem, model, columns)))
        for name in problem.exact:
            values[f"exact {name}"] = problem.exact_values(name, coordinates)
        residuals = [evaluate(problem, model, e, points) ** 2 for e in problem.equations.values()]
        return values | {"residual": jnp.sqrt(sum(residuals, jnp.zeros(len(points), points.dtype)))}

    inside = np.asarray(problem.domain.contains(at))
    values = found(model, jnp.asarray(at, dtype))
    return {name: np.where(inside, np.asarray(v), np.nan) for name, v in values.items()}


def _curves(problem: Problem, name: str, at: np.ndarray, values: Mapping[str, np.ndarray]) -> Any:
    drawn, (left, right) = figure(11, 3.8, ncols=2)
    x = at[:, 0]
    if f"exact {name}" in values:
        left.plot(x, values[f"exact {name}"], color=_TRUE, linewidth=4, label="exact")
        error = np.abs(values[name] - values[f"exact {name}"])
        right.plot(x, np.maximum(error, 1e-18), color=_ERROR, label="error")
    left.plot(x, values[name], color=_FOUND, label="network")
    right.plot(x, np.maximum(values["residual"], 1e-18), color=_FOUND, label="residual")
    coordinate = problem.domain.names[0]
    left.set(xlabel=coordinate, ylabel=label(name), title="Solution")
    right.set(xlabel=coordinate, yscale="log", title="Absolute error and residual")
    for axes in (left, right):
        axes.legend(frameon=False)
    return drawn


def _maps(problem: Problem, name: str, at: np.ndarray, values: Mapping[str, np.ndarray]) -> Any:
    true = values.get(f"exact {name}")
    panels = {"Solution": values[name]}
    if true is not None:
        panels["Error"] = values[name] - true
    panels["Residual"] = values["residual"]
    drawn, every = figure(4.2 * len(panels), 3.6, ncols=len(panels), squeeze=False)
    # Time runs to the right, whatever the order of the coordinates.
    over, up = (1, 0) if problem.domain.time == problem.domain.names[1] else (0, 1)
    for axes, (title, shown) in zip(every[0], panels.items()):
        grid = shown.reshape(_CELLS, _CELLS)
        grid = grid if (over, up) == (1, 0) else grid.T
        largest = np.nanmax(np.abs(grid)) or 1.0
        signed = np.nanmin(grid) < 0
        image = axes.imshow(
            grid, origin="lower", aspect="auto", cmap="RdBu_r" if signed else "viridis",
            vmin=-largest if signed else 0.0, vmax=largest,
            extent=(at[:, over].min(), at[:, over].max(), at[:, up].min(), at[:, up].max()),
        )  # fmt: skip
        axes.set(xlabel=problem.domain.names[over], ylabel=problem.domain.names[up], title=title)
        drawn.colorbar(image, ax=axes, format="%.2g")
    return drawn


def _slices(problem: Problem, name: str, at: np.ndarray, values: Mapping[str, np.ndarray]) -> Any:
    first, second = problem.domain.names
    drawn, every = figure(12.6, 2.8, ncols=_SLICES, sharey=True)
    grid = values[name].reshape(_CELLS, _CELLS)
    true = values.get(f"exact {name}")
    x, other = at[:, 0].reshape(_CELLS, _CELLS)[:, 0], at[:_CELLS, 1]
    for axes, place in zip(every, np.linspace(0, _CELLS - 1, _SLICES).round().astype(int)):
        if true is not None:
            axes.plot(x, true.reshape(_CELLS, _CELLS)[:, place], color=_TRUE, linewidth=4, label="exact")
        axes.plot(x, grid[:, place], color=_FOUND, label="network")
        axes.set(xlabel=first, title=f"{second} = {other[place]:.3g}")
    every[0].set(ylabel=label(name))
    every[0].legend(frameon=False)
    return drawn
