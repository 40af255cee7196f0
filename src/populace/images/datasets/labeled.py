"""Labeled images with a training and a test split, as returned by every loader."""

from dataclasses import dataclass, fields

import numpy as np

from populace.core.errors import UsageError
from populace.core.formatting import Overview, shortened


@dataclass(frozen=True, eq=False, repr=False)
class Images(Overview):
    """A labeled image data set. Arrays are cached, shared between callers, and read-only.

    Args:
        name: name of the data set, or of a sample of it.
        train_images: (N, height, width, channels) uint8, 0 black to 255 white.
        train_labels: (N,) int32, the class of each image.
        test_images: like `train_images`, for the final evaluation only.
        test_labels: like `train_labels`.
        classes: names of the classes 0, 1, ...

    Raises:
        UsageError: shapes, types or labels that do not match.

    """

    name: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check shapes, types and labels, and make the arrays read-only."""
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
                f"Images '{self.name}': training images have shape {self.train_images.shape[1:]}, "
                f"but test images {self.test_images.shape[1:]}"
            )
        for field in fields(self):
            if isinstance(value := getattr(self, field.name), np.ndarray):
                value.flags.writeable = False

    def _overview(self) -> tuple[str, dict[str, object]]:
        return f"Images '{self.name}'", {
            "training": f"{len(self.train_images):,}",
            "test": f"{len(self.test_images):,}",
            "shape": self.train_images.shape[1:],
            "classes": f"{len(self.classes)}: {shortened(self.classes, 10)}",
        }


def wrong_label(labels: np.ndarray, classes: int) -> str:
    """Return a description of the first label outside 0 to classes - 1; empty if there is none."""
    outside = np.flatnonzero((labels < 0) | (labels >= classes))
    return (
        f"label {labels[outside[0]]} in row {outside[0]}, expected 0 to {classes - 1}" if len(outside) else ""
    )
