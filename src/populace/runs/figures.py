"""Matplotlib figures rendered to pixels, without a display and without pyplot's global state."""

from typing import Any

import numpy as np

from populace.core.media import Image

_DPI = 130


def figure(width: float, height: float, **subplots: Any) -> tuple[Any, Any]:
    """Return a figure of `width` x `height` inches and its axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(drawn)
    axes = drawn.subplots(**subplots)
    for one in np.ravel(axes):
        one.spines[["top", "right"]].set_visible(False)
    return drawn, axes


def label(name: Any, most: int = 24) -> str:
    """Return a name as text of a figure: on one line, not too long, and a dollar sign no formula."""
    plain = "".join(c if c.isprintable() else " " for c in str(name))
    return (plain if len(plain) <= most else plain[: most - 1] + "…").replace("$", r"\$")


def to_image(drawn: Any, caption: str) -> Image:
    """Render a figure to pixels, (height, width, 3) uint8, with a caption."""
    drawn.canvas.draw()
    pixels = np.asarray(drawn.canvas.buffer_rgba())[..., :3]
    return Image(np.ascontiguousarray(pixels), caption)
