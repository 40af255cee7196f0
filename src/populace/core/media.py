"""Media: stills and films of a trained member, which the report shows."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Picture:
    """A still for the report: `image` is (height, width, 3) uint8."""

    image: np.ndarray
    caption: str = ""


@dataclass(frozen=True)
class Video:
    """A film for the report: frames of (height, width, 3) uint8, shown at `fps`; read once."""

    frames: Iterable[np.ndarray]
    fps: int = 30
    caption: str = ""


Exhibit = Picture | Video
