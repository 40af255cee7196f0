"""Images of observations that are a small board of channels, such as MinAtar's: one color per channel."""

import numpy as np

CELL = 32  # pixels along a side of a cell
_PAPER = (244, 245, 247)
_LINE = (226, 229, 233)
_COLORS = (  # Okabe and Ito 2008: distinguishable with any color vision
    (0, 114, 178), (213, 94, 0), (0, 158, 115), (230, 159, 0), (204, 121, 167),
    (86, 180, 233), (240, 228, 66), (60, 60, 60), (150, 150, 150), (120, 60, 20),
)  # fmt: skip


def is_board(observation: np.ndarray) -> bool:
    """Return whether an observation is (height, width, channels), small enough to be drawn."""
    shape = observation.shape
    return observation.ndim == 3 and max(shape[:2]) <= 40 and shape[2] <= len(_COLORS)


def draw(observation: np.ndarray) -> np.ndarray:
    """Return a board (height, width, channels) as an image, (32 height, 32 width, 3) uint8.

    A cell has the color of the first of its channels that is not 0.
    """
    occupied = np.asarray(observation) != 0
    colors = np.array([_PAPER, *_COLORS], np.uint8)
    chosen = np.where(occupied.any(-1), occupied.argmax(-1) + 1, 0)
    image = np.repeat(np.repeat(colors[chosen], CELL, 0), CELL, 1)
    image[::CELL] = _LINE
    image[:, ::CELL] = _LINE
    return image
