"""Pictures with labels: parts that nobody writes to, and parts that do not fit together."""

from typing import Any

import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.images import Images


def images(**changed: Any) -> Images:
    pictures, labels = np.zeros((6, 4, 5, 1), np.uint8), np.array([0, 1, 2, 0, 1, 2], np.int32)
    parts = {
        "name": "six", "train_images": pictures, "train_labels": labels,
        "test_images": pictures.copy(), "test_labels": labels.copy(), "classes": ("a", "b", "c"),
    }  # fmt: skip
    return Images(**parts | changed)


def test_arrays_are_read_only() -> None:
    for array in (images().train_images, images().train_labels, images().test_images, images().test_labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train_images": np.zeros((6, 4, 5), np.uint8)}, r"train_images are uint8 of shape \(6, 4, 5\)"),
        ({"test_images": np.zeros((6, 4, 5, 1))}, "test_images are float64"),
        ({"test_images": np.zeros((0, 4, 5, 1), np.uint8)}, r"test_images are uint8 of shape \(0, 4, 5, 1\)"),
        (
            {"train_labels": np.zeros(5, np.int32)},
            r"train_labels are int32 of shape \(5,\), .*\(6,\)",
        ),
        ({"train_labels": np.zeros(6)}, "train_labels are float64"),
        ({"test_labels": np.array([0, 1, 2, 3, 1, 2], np.int32)}, "label 3 in row 3, expected 0 to 2"),
        ({"train_labels": np.array([0, -1, 2, 3, 1, 2], np.int32)}, "label -1 in row 1, expected 0 to 2"),
        (
            {"test_images": np.zeros((6, 5, 4, 1), np.uint8)},
            r"have shape \(4, 5, 1\), but test .* \(5, 4, 1\)",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=f"^Images 'six': .*{message}"):
        images(**changed)
