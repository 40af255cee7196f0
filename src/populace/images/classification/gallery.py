"""Pictures of a data set with what a network says of them."""

import numpy as np

from populace.core.media import Image
from populace.runs.figures import figure, to_image

_COLUMNS, _ROWS = 6, 3


def mistakes(x: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, names: tuple[str, ...]) -> Image:
    """Draw the pictures that the network was surest about and wrong."""
    said, sure = probabilities.argmax(1), probabilities.max(1)
    wrong = np.flatnonzero(said != labels)
    chosen = wrong[np.argsort(-sure[wrong], kind="stable")][: _COLUMNS * _ROWS]
    caption = f"The surest of {len(wrong)} mistakes in {len(labels)} test pictures"
    return _gallery(x, labels, probabilities, names, chosen, caption)


def samples(x: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, names: tuple[str, ...]) -> Image:
    """Draw the first pictures with what the network says."""
    chosen = np.arange(min(len(x), _COLUMNS * _ROWS))
    return _gallery(x, labels, probabilities, names, chosen, "Pictures and what the network says of them")


def _gallery(
    x: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, names: tuple[str, ...],
    chosen: np.ndarray, caption: str,
) -> Image:  # fmt: skip
    known = names or tuple(str(i) for i in range(probabilities.shape[1]))
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
