"""Media: images and videos of a trained member, shown in the report."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Image:
    """An image with a caption: `image` is (height, width, 3) uint8 RGB."""

    image: np.ndarray
    caption: str = ""


@dataclass(frozen=True)
class Video:
    """A video with a caption: frames of (height, width, 3) uint8 RGB, `fps` frames per second; read once."""

    frames: Iterable[np.ndarray]
    fps: int = 30
    caption: str = ""


Visualization = Image | Video
