"""Pictures of images: a grid of them, and samples of a model."""

from typing import Any

import numpy as np

from populace.core.media import Image
from populace.runs.figures import label

_PIXELS = 560  # width that small pictures are enlarged to, about
_COLUMNS = 10


def tiled(images: np.ndarray, columns: int) -> np.ndarray:
    """Return images (N, height, width, channels) from 0 to 1 as one of RGB, row by row, uint8.

    There is a line of one pixel between them. One channel is grey; of more than three, three are shown.
    """
    n, height, width, channels = images.shape
    rows = -(-n // columns)
    canvas = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1, 3), 128, np.uint8)
    shown = images[..., :1].repeat(3, -1) if channels < 3 else images[..., :3]
    for i, image in enumerate(np.rint(255 * np.clip(shown, 0, 1)).astype(np.uint8)):
        top, left = (i // columns) * (height + 1), (i % columns) * (width + 1)
        canvas[top : top + height, left : left + width] = image
    return canvas


def enlarged(picture: np.ndarray) -> np.ndarray:
    """Return a picture with every pixel a square of several, as browsers would blur it."""
    factor = max(1, round(_PIXELS / picture.shape[1]))
    return picture.repeat(factor, 0).repeat(factor, 1)


def samples(learner: Any, model: Any) -> Image:
    """Draw new images; of a conditional model a row for each of ten classes at most."""
    if not learner.conditional:
        made = learner.sample(model, 4 * _COLUMNS)
        return Image(enlarged(tiled(made, _COLUMNS)), learner.samples_caption)
    classes = np.arange(min(learner.classes, 10))
    made = learner.sample(model, _COLUMNS * len(classes), np.repeat(classes, _COLUMNS))
    names = ", ".join(label(class_name(learner, c)) for c in classes)
    return Image(enlarged(tiled(made, _COLUMNS)), f"Samples by class, one class per row: {names}")


def class_name(learner: Any, number: Any) -> Any:
    """Return the name of a class, or its number where it has none."""
    names = learner._data.names
    return names[number] if names else number
