"""What a PixelCNN makes of halves of images."""

from typing import Any

import numpy as np

from populace.core.media import Image
from populace.images.generative.pictures import enlarged, tiled

_COLUMNS, _DRAWS = 10, 3


def completions(learner: Any, model: Any) -> Image:
    """Draw images, and below each what the model draws in the place of its lower half."""
    data = learner._data
    x = np.asarray(data.examples("test")[0][:_COLUMNS])
    x = learner.quantize(x if x.dtype == np.uint8 else x + np.asarray(data.origin, np.float32))
    told = data.answers("test")[:_COLUMNS] if learner.conditional else None
    rows = x.shape[1] // 2
    again = [learner.complete(model, x, rows, told, seed=seed) for seed in range(_DRAWS)]
    which = f"{data.called('test')} images; below, {_DRAWS} times, all but the upper {rows} rows drawn"
    return Image(enlarged(tiled(np.concatenate([x, *again]), len(x))), f"Completions: {which}")
