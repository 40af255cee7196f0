"""Pictures of observations that are a small board of channels, as MinAtar's: a color for each channel."""

import numpy as np

CELL = 32  # pixels along a side of a cell
_PAPER = (244, 245, 247)
_LINE = (226, 229, 233)
_COLORS = (  # Okabe and Ito 2008: told apart with any color vision
    (0, 114, 178), (213, 94, 0), (0, 158, 115), (230, 159, 0), (204, 121, 167),
    (86, 180, 233), (240, 228, 66), (60, 60, 60), (150, 150, 150), (120, 60, 20),
)  # fmt: skip


def is_board(observation: np.ndarray) -> bool:
    """Return whether an observation is (height, width, channels), with no more cells than can be seen."""
    shape = observation.shape
    return observation.ndim == 3 and max(shape[:2]) <= 40 and shape[2] <= len(_COLORS)


def draw(observation: np.ndarray) -> np.ndarray:
    """Return a board (height, width, channels) as a picture, (32 height, 32 width, 3) uint8.

    A cell has the color of the first of its channels that is not 0.
    """
    there = np.asarray(observation) != 0
    colors = np.array([_PAPER, *_COLORS], np.uint8)
    chosen = np.where(there.any(-1), there.argmax(-1) + 1, 0)
    picture = np.repeat(np.repeat(colors[chosen], CELL, 0), CELL, 1)
    picture[::CELL] = _LINE
    picture[:, ::CELL] = _LINE
    return picture
