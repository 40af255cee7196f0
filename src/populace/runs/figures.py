"""Drawn pictures: Matplotlib figures, without a display and without its global state, as pixels."""

from typing import Any

import numpy as np

from populace.core.media import Picture

_DPI = 130


def figure(width: float, height: float, **subplots: Any) -> tuple[Any, Any]:
    """Return a figure of so many inches and its axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(drawn)
    axes = drawn.subplots(**subplots)
    for one in np.ravel(axes):
        one.spines[["top", "right"]].set_visible(False)
    return drawn, axes


def picture(drawn: Any, caption: str) -> Picture:
    """Return a figure as it looks, (height, width, 3) uint8, with its caption."""
    drawn.canvas.draw()
    pixels = np.asarray(drawn.canvas.buffer_rgba())[..., :3]
    return Picture(np.ascontiguousarray(pixels), caption)
