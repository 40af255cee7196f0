"""Labeled pictures, split into training and test: what every loader returns."""

from dataclasses import dataclass, fields

import numpy as np

from populace.core.errors import UsageError


@dataclass(frozen=True, eq=False)
class Images:
    """Pictures with labels. The arrays are shared by all who ask, and cannot be written to.

    Args:
        name: which data set, and whether only a part of it.
        train_images: (N, height, width, channels) uint8, 0 black to 255 white.
        train_labels: (N,) int32, the class of each picture.
        test_images: as `train_images`; for the final verdict only.
        test_labels: as `train_labels`.
        classes: what the labels 0, 1, ... mean.

    Raises:
        UsageError: shapes, types or labels that do not fit together.

    """

    name: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check that the parts fit, and make the arrays read-only."""
        for split in ("train", "test"):
            images, labels = getattr(self, f"{split}_images"), getattr(self, f"{split}_labels")
            what = f"Images '{self.name}': {split}_"
            if images.ndim != 4 or images.dtype != np.uint8 or 0 in images.shape:
                raise UsageError(
                    f"{what}images are {images.dtype} of shape {images.shape}, "
                    "expected uint8 of shape (N, height, width, channels)"
                )
            if labels.shape != images.shape[:1] or labels.dtype != np.int32:
                raise UsageError(
                    f"{what}labels are {labels.dtype} of shape {labels.shape}, "
                    f"expected int32 of shape ({len(images)},)"
                )
            if wrong := wrong_label(labels, len(self.classes)):
                raise UsageError(f"{what}labels: {wrong}")
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise UsageError(
                f"Images '{self.name}': training pictures have shape {self.train_images.shape[1:]}, "
                f"test pictures {self.test_images.shape[1:]}"
            )
        for field in fields(self):
            if isinstance(value := getattr(self, field.name), np.ndarray):
                value.flags.writeable = False


def wrong_label(labels: np.ndarray, classes: int) -> str:
    """Return in words the first label that is outside 0 to classes - 1; empty if there is none."""
    outside = np.flatnonzero((labels < 0) | (labels >= classes))
    return (
        f"label {labels[outside[0]]} in row {outside[0]}, expected 0 to {classes - 1}" if len(outside) else ""
    )
