"""Pictures of what a trained network does: confusion matrix, calibration, predictions against targets."""

from typing import Any

import numpy as np

from populace.core.media import Image
from populace.metrics import classification
from populace.runs.figures import figure, label, to_image

_MOST_CLASSES_WITH_NUMBERS = 12


def confusion(
    logits: Any, labels: np.ndarray, names: tuple[str, ...], part: str, weight: np.ndarray | None = None
) -> Image:
    """Draw counts, or sums of weights, per true and predicted class; a row's color is its share."""
    logits = np.asarray(logits)
    classes = logits.shape[1]
    predicted = logits.argmax(1)
    counts = classification.confusion_matrix(predicted, labels, classes, weight)
    total = counts.sum(1, keepdims=True)
    share = counts / np.where(total > 0, total, 1)
    side = float(np.clip(0.5 * classes + 2, 4.5, 9))
    drawn, axes = figure(side + 0.6, side)
    shown = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    ticks = [label(name) for name in names or range(classes)]
    wordy = max(map(len, ticks)) > 2
    axes.set_xticks(range(classes), ticks, rotation=45 if wordy else 0, ha="right" if wordy else "center")
    axes.set_yticks(range(classes), ticks)
    axes.set(xlabel="predicted", ylabel="true")
    if classes <= _MOST_CLASSES_WITH_NUMBERS:
        for i, j in np.ndindex(classes, classes):
            if counts[i, j]:
                ink = "white" if share[i, j] > 0.5 else "black"
                axes.text(
                    j,
                    i,
                    f"{counts[i, j]:.4g}" if weight is not None else str(counts[i, j]),
                    ha="center",
                    va="center",
                    color=ink,
                    fontsize=8,
                )
    drawn.colorbar(shown, fraction=0.046, label="share of the true class")
    accuracy = float(np.average(classification.correct(logits, labels), weights=weight))
    what = "Confusion matrix" if weight is None else "Confusion matrix, sums of weights,"
    return to_image(drawn, f"{what} on the {part} part: accuracy {100 * accuracy:.2f} %")


def calibration(logits: Any, labels: np.ndarray, part: str, weight: np.ndarray | None = None) -> Image:
    """Draw how often the network is right against how sure it is."""
    each = np.ones(len(labels), np.float32) if weight is None else weight
    sums = np.asarray(classification.calibration_sums(np.asarray(logits), labels, each))
    mass, confidence, hits = sums.T
    used = mass > 0
    drawn, axes = figure(4.8, 4.5)
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", label="perfectly calibrated")
    size = 20 + 300 * mass[used] / mass.sum()
    axes.scatter(
        confidence[used] / mass[used], hits[used] / mass[used], s=size, color="#1f77b4", zorder=3,
        label="examples, area by their number",
    )  # fmt: skip
    axes.set(xlabel="confidence", ylabel="share that is right", xlim=(0, 1.02), ylim=(0, 1.05))
    axes.legend(loc="upper left", markerscale=0.6)
    error = float(classification.calibration_error(sums))
    return to_image(drawn, f"Calibration on the {part} part: expected calibration error {error:.4f}")


def predictions(predicted: np.ndarray, targets: np.ndarray, part: str) -> Image:
    """Draw predictions against targets, the first output."""
    f, y = predicted[:, 0], targets[:, 0]
    drawn, axes = figure(4.8, 4.5)
    low, high = float(min(f.min(), y.min())), float(max(f.max(), y.max()))
    axes.plot([low, high], [low, high], color="0.6", linestyle="--", label="exact")
    axes.scatter(y, f, s=10, alpha=0.5, color="#1f77b4", label="examples")
    axes.set(xlabel="target", ylabel="prediction")
    axes.legend()
    more = f" (output 1 of {predicted.shape[1]})" if predicted.shape[1] > 1 else ""
    return to_image(drawn, f"Predictions against targets on the {part} part{more}")
