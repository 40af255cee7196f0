"""The second judge: a classifier that is trained on made images alone, and reads real ones."""

from typing import Any

import numpy as np

from populace.core.errors import UsageError
from populace.images.judge.training import STEPS, trained_classifier
from populace.supervised.data import Data


def accuracy_from_samples(images: Any, labels: Any, real: Data, steps: int = STEPS, seed: int = 0) -> float:
    """Return the share of real test images that a classifier reads which has seen made images alone.

    Its steps are chosen by a tenth of the made images, so nothing real is seen before the test. It falls with
    images that look unlike real ones, that are of another class than they were asked for, and that are too
    much alike. Beside it belongs the accuracy of the same classifier trained on the real images, which is
    that of `images.judge.training.train_judge(real)`.

    Args:
        images: made, (n, height, width, channels), from 0 to 1.
        labels: class that was asked for, or for a model that is told of none, read by the judge, (n,).
        real: data whose test part is read.
        steps: of the training.
        seed: of the training.

    Raises:
        UsageError: images of another size, labels that do not fit, or of fewer than two classes.

    Source: S. Ravuri, O. Vinyals (2019), Classification Accuracy Score for Conditional Generative Models.

    """
    x, y = np.asarray(images, np.float32), np.asarray(labels)
    if x.ndim != 4 or x.shape[1:] != real.shape:
        raise UsageError(f"made images have shape {x.shape}; the real ones are (n, {real.shape})")
    if y.shape != x.shape[:1] or y.dtype.kind not in "iu" or not 0 <= y.min() <= y.max() < real.outputs:
        raise UsageError(
            f"labels must be {len(x)} numbers of classes from 0 to {real.outputs - 1}, got {y.dtype} of "
            f"shape {y.shape}"
        )
    if len(np.unique(y)) < 2:
        raise UsageError("all made images are of one class; nothing can be learned from them")
    if real.called("test") != "test":
        raise UsageError("the real data have no test part to read; give image_data(..., test=)")
    pixels = np.rint(255 * np.clip(x, 0, 1)).astype(np.uint8)
    shown, answers = real.examples("test")[0], real.answers("test")
    if np.asarray(shown).dtype != np.uint8:
        shown = np.rint(255 * np.asarray(shown)).astype(np.uint8)
    names = real.names or tuple(str(number) for number in range(real.outputs))
    data = Data.from_classes(
        pixels, y, test=(shown, answers), validation=0.1, standardize="none", names=names, seed=seed
    )
    return trained_classifier(data, steps, seed)[1]
