"""Media: images and videos of a trained member, shown in the report."""

from collections.abc import Iterable, Sized
from dataclasses import dataclass

import numpy as np

from populace.core.formatting import Overview


@dataclass(frozen=True, repr=False)
class Image(Overview):
    """An image with a caption: `image` is (height, width, 3) uint8 RGB."""

    image: np.ndarray
    caption: str = ""

    def _overview(self) -> tuple[str, dict[str, object]]:
        height, width = np.shape(self.image)[:2]
        return f"Image of {width} x {height} pixels", {"caption": self.caption}


@dataclass(frozen=True, repr=False)
class Video(Overview):
    """A video with a caption: frames of (height, width, 3) uint8 RGB, `fps` frames per second; read once."""

    frames: Iterable[np.ndarray]
    fps: int = 30
    caption: str = ""

    def _overview(self) -> tuple[str, dict[str, object]]:
        frames = f"{len(self.frames):,}" if isinstance(self.frames, Sized) else "read once"
        return "Video", {"frames": frames, "per second": self.fps, "caption": self.caption}


Visualization = Image | Video
