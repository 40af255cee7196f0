"""Films of solutions that change in time: curves over one coordinate of space, maps over two, and stills."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from populace.core.media import Video, Visualization
from populace.physics.objective import Model
from populace.physics.plots import values_at
from populace.physics.problem.problem import Problem
from populace.runs.figures import figure, label, to_image

_FPS, _STILLS = 8, 5
_CELLS = {1: 120, 2: 40}
_FOUND, _TRUE = "#0f766e", "#94a3b8"


def films(problem: Problem, model: Model, dtype: str, frames: int = 25) -> dict[str, Visualization]:
    """Return a film of each field over one or two coordinates of space and time; of two, stills besides."""
    domain = problem.domain
    if not domain.time or len(domain.space) not in _CELLS:
        return {}
    cells, plane = _CELLS[len(domain.space)], len(domain.space) == 2
    axes = [np.linspace(a, b, cells) for a, b in zip(domain.low[:-1], domain.high[:-1])]
    times = np.linspace(domain.low[-1], domain.high[-1], frames)
    grid = np.stack([m.ravel() for m in np.meshgrid(*axes, times, indexing="ij")], 1)
    shape = (*[cells] * len(axes), frames)
    found = {name: v.reshape(shape) for name, v in values_at(problem, model, grid, dtype).items()}
    made: dict[str, Visualization] = {}
    for name in problem.fields:
        shown = {"network": found[name]}
        if f"exact {name}" in found:
            shown["exact"] = found[f"exact {name}"]
        field = _Field(name, domain.space, domain.time, axes, times, shown)
        caption = f"Field {name} from {domain.time} = {times[0]:.3g} to {times[-1]:.3g}"
        made[f"{name} in time"] = Video(list((_maps if plane else _curves)(field)), _FPS, caption)
        if plane:
            made[f"{name} in slices"] = to_image(_stills(field), f"Field {name} at fixed {domain.time}")
    return made


class _Field(NamedTuple):
    """A field on a grid of `axes` of space and `times`; `shown` are values by what they are."""

    name: str
    space: tuple[str, ...]
    time: str
    axes: list[np.ndarray]
    times: np.ndarray
    shown: Mapping[str, np.ndarray]

    def at(self, frame: int) -> str:
        return f"{self.time} = {self.times[frame]:.3g}"


def _curves(field: _Field) -> Iterator[np.ndarray]:
    drawn, one = figure(6.4, 3.6)
    low, high = (f([f(v) for v in field.shown.values()]) for f in (np.nanmin, np.nanmax))
    margin = 0.05 * (high - low) or 1.0
    one.set(xlabel=label(field.space[0]), ylabel=label(field.name), ylim=(low - margin, high + margin))
    looks = {"exact": {"color": _TRUE, "linewidth": 4}, "network": {"color": _FOUND}}
    lines = {
        what: one.plot(field.axes[0], field.shown[what][:, 0], label=what, **looks[what])[0]
        for what in looks
        if what in field.shown
    }
    one.legend(frameon=False, loc="upper right")
    for frame in range(len(field.times)):
        for what, line in lines.items():
            line.set_ydata(field.shown[what][:, frame])
        one.set_title(field.at(frame))
        yield to_image(drawn, "").image


def _maps(field: _Field) -> Iterator[np.ndarray]:
    drawn, every = figure(4.8 * len(field.shown), 3.6, ncols=len(field.shown), squeeze=False)
    images = {}
    for one, (what, values) in zip(every[0], field.shown.items()):
        images[what] = _map(one, field.axes, values, 0)
        one.set(xlabel=label(field.space[0]), ylabel=label(field.space[1]), title=what)
        drawn.colorbar(images[what], ax=one, format="%.2g")
    for frame in range(len(field.times)):
        for what, image in images.items():
            image.set_data(field.shown[what][..., frame].T)
        drawn.suptitle(f"{label(field.name)} at {field.at(frame)}")
        yield to_image(drawn, "").image


def _stills(field: _Field) -> Any:
    drawn, every = figure(12.6, 3.0, ncols=_STILLS, sharey=True)
    image = None
    for one, frame in zip(every, np.linspace(0, len(field.times) - 1, _STILLS).round().astype(int)):
        image = _map(one, field.axes, field.shown["network"], frame)
        one.set(xlabel=label(field.space[0]), title=field.at(frame))
    every[0].set(ylabel=label(field.space[1]))
    drawn.colorbar(image, ax=list(every), format="%.2g")
    return drawn


def _map(one: Any, axes: list[np.ndarray], values: np.ndarray, frame: int) -> Any:
    """Draw a map whose colors are those of all times."""
    largest = np.nanmax(np.abs(values)) or 1.0
    signed = np.nanmin(values) < 0
    return one.imshow(
        values[..., frame].T, origin="lower", aspect="auto", cmap="RdBu_r" if signed else "viridis",
        vmin=-largest if signed else 0.0, vmax=largest,
        extent=(axes[0][0], axes[0][-1], axes[1][0], axes[1][-1]),
    )  # fmt: skip
