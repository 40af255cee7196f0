"""A small labeled set of images for what makes images: bright columns and rows on a dark ground."""

from typing import Any

import numpy as np

from populace.supervised.data import Data


def bars(n: int, seed: int = 0, height: int = 8, width: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Return grey images (n, height, width, 1), uint8, with one bright column (class 0) or row (class 1)."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    images = rng.integers(0, 40, (n, height, width, 1)).astype(np.uint8)
    for image, row in zip(images, labels):
        at = rng.integers(0, height if row else width)
        image[(at,) if row else (slice(None), at)] = rng.integers(180, 255)
    return images, labels


def labeled(x: np.ndarray, y: np.ndarray, test: Any = None) -> Data:
    """Return data of images and their classes."""
    return Data.from_classes(x, y, test=test, standardize="none")


X, Y = bars(420)
DATA = labeled(X[:300], Y[:300], (X[300:], Y[300:]))
