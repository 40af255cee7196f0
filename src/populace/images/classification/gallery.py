"""Figures of images with a network's predictions."""

import numpy as np

from populace.core.media import Image
from populace.data.example_files import Selection
from populace.runs.figures import figure, label, to_image

_COLUMNS, _ROWS = 6, 3


def mistakes(
    x: np.ndarray | Selection, labels: np.ndarray, probabilities: np.ndarray, names: tuple[str, ...]
) -> Image:
    """Show the mistakes that the network was most confident about."""
    said, sure = probabilities.argmax(1), probabilities.max(1)
    wrong = np.flatnonzero(said != labels)
    chosen = wrong[np.argsort(-sure[wrong], kind="stable")][: _COLUMNS * _ROWS]
    caption = f"The most confident of {len(wrong)} mistakes on {len(labels)} test images"
    return _gallery(x, labels, probabilities, names, chosen, caption)


def samples(x: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, names: tuple[str, ...]) -> Image:
    """Show the first images with the network's predictions."""
    chosen = np.arange(min(len(x), _COLUMNS * _ROWS))
    return _gallery(x, labels, probabilities, names, chosen, "Images with the network's predictions")


def _gallery(
    x: np.ndarray | Selection, labels: np.ndarray, probabilities: np.ndarray, names: tuple[str, ...],
    chosen: np.ndarray, caption: str,
) -> Image:  # fmt: skip
    known = [label(name) for name in names or range(probabilities.shape[1])]
    drawn, axes = figure(1.45 * _COLUMNS, 1.75 * _ROWS, nrows=_ROWS, ncols=_COLUMNS)
    for place, axis in enumerate(np.ravel(axes)):
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
        if place >= len(chosen):
            continue
        row = int(chosen[place])
        said = int(probabilities[row].argmax())
        image = x[row]
        axis.imshow(image[..., 0] if image.shape[-1] == 1 else image, cmap="gray_r", interpolation="nearest")
        right = said == labels[row]
        title = f"{known[said]} ({100 * probabilities[row, said]:.0f} %)"
        title += "" if right else f"\nis {known[int(labels[row])]}"
        axis.set_title(title, fontsize=9, color="#1a7f37" if right else "#b3261e")
    return to_image(drawn, caption)
