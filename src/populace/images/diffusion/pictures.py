"""How images come out of the noise."""

from typing import Any

import numpy as np

from populace.core.media import Image
from populace.images.generative.pictures import enlarged, tiled

_ROWS = 5


def denoising(learner: Any, model: Any) -> Image:
    """Draw images on their way from noise to the end, one a row."""
    way = np.moveaxis(learner.trajectory(model, _ROWS), 0, 1)
    picture = tiled(way.reshape(-1, *way.shape[2:]), way.shape[1])
    return Image(enlarged(picture), f"Denoising: from noise (left) to samples, {learner.sampler_steps} steps")
