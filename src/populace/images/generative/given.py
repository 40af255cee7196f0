"""Images and labels as a person gives them, checked, with one line for what is wrong."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from populace.core.errors import UsageError, unknown
from populace.core.values import plain
from populace.data.arrays import check_features, restored
from populace.data.example_files import ExampleFiles
from populace.supervised.data import Data

_RANGE = "images of floats hold 0 to 1, those of uint8 0 to 255"


def image_data(
    x: Any, *, labels: Any = None, test: Any = None, test_labels: Any = None, validation: float = 0.1,
    seed: int = 0,
) -> Data:  # fmt: skip
    """Return data of images, with or without labels, for the learners of this room.

    Args:
        x: images (N, height, width, channels), uint8 from 0 to 255 or floats from 0 to 1.
        labels: class of each, as of `Data.from_classes`; None for none.
        test: images to judge by at the end, or None.
        test_labels: their classes.
        validation: share of the images to choose by.
        seed: of the split.

    Raises:
        UsageError: arrays that do not fit together, or labels of one part alone.

    """
    options: dict[str, Any] = {"validation": validation, "standardize": "none", "seed": seed}
    if test is not None and (labels is None) != (test_labels is None):
        which = "training" if labels is None else "test"
        raise UsageError(f"the {which} images have no labels, the others have; give both or none")
    if labels is not None:
        part = None if test is None else (test, test_labels)
        return Data.from_classes(x, labels, test=part, **options)
    part = None if test is None else (test, np.zeros(len(test), np.float32))
    return Data.from_targets(x, np.zeros(len(x), np.float32), test=part, **options)


def latents(z: Any, size: int) -> np.ndarray:
    """Return latents as float32, (N, size), or raise a `UsageError` for another shape."""
    z = np.asarray(z, np.float32)
    if z.ndim != 2 or z.shape[1] != size:
        raise UsageError(f"latents have shape {z.shape}; expected (N, {size})")
    return z


def batches(n: int, size: int) -> Iterator[slice]:
    """Yield the places of n examples, `size` at a time."""
    return (slice(start, start + size) for start in range(0, n, size))


def check_pixels(data: Data, binary: bool = False) -> None:
    """Raise a `UsageError` unless all images are uint8, or floats from 0 to 1.

    Args:
        data: all of it is looked at.
        binary: whether pixels must be black or white.

    """
    for x in (data.x, data.test_x):
        if x is None or (x.dtype == np.uint8 and not binary):
            continue
        if isinstance(x, ExampleFiles):
            raise UsageError("images in files must be uint8, and made black and white by populace if at all")
        found = restored(np.asarray(x), np.asarray(data.origin))
        white = 255 if x.dtype == np.uint8 else 1
        _check_range(found, white)
        if binary:
            check_binary(found, white)


def check_binary(x: np.ndarray, white: float = 1) -> None:
    """Raise a `UsageError` for a pixel that is neither 0 nor `white`."""
    grey = (x != 0) & (x != white)
    if grey.any():
        row = int(np.argwhere(grey)[0][0])
        raise UsageError(
            f"image {row} is grey, a Bernoulli likelihood is one of black and white pixels; "
            "binarize images: binarization = dynamic or static in training, learner.binarize(x) for log_prob"
        )


def images(x: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return images as float32 from 0 to 1, (N, *shape).

    Raises:
        UsageError: another shape, a range that is neither, or NaN.

    """
    found = check_features("x", x, least=0)
    if found.shape[1:] != tuple(shape):
        raise UsageError(f"images have shape {found.shape[1:]}; the network takes {tuple(shape)}")
    if found.dtype == np.uint8:
        return found.astype(np.float32) / 255
    _check_range(found, 1)
    return found.astype(np.float32)


def labels(label: Any, classes: int, names: tuple[str, ...]) -> np.ndarray:
    """Return the number of each class, given by number or by name; of one label an array of no axes.

    Raises:
        UsageError: an unknown one.

    """
    found = np.asarray(label)
    if found.dtype.kind in "US":
        for name in found.reshape(-1):
            if str(name) not in names:
                raise unknown("class", str(name), names or map(str, range(classes)))
        return np.array([names.index(str(name)) for name in found.reshape(-1)], int).reshape(found.shape)
    if found.dtype.kind not in "iu" or (found.size and not 0 <= found.min() <= found.max() < classes):
        raise UsageError(f"label must be a class from 0 to {classes - 1}, or its name, got {label!r:.50}")
    return found


def whole(name: str, value: Any, least: int) -> None:
    """Raise a `UsageError` unless a value is a whole number of at least so much."""
    value = plain(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UsageError(f"{name} must be a whole number of at least {least}, got {value!r:.50}")


def _check_range(x: np.ndarray, white: float) -> None:
    if x.size and (x.min() < 0 or x.max() > white):
        worst = x.min() if x.min() < 0 else x.max()
        raise UsageError(f"an image holds {worst:g}; {_RANGE}")
