"""Metrics of predicted classes: accuracy, top-k, confusion matrix, calibration.

Everything here takes whole arrays, N examples in front, and weights that count or leave out an
example. Sums come apart from their quotients, so that a large set can be gone through in batches.
"""

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array | np.ndarray
BINS = 15


def correct(logits: Array, labels: Array) -> jax.Array:
    """Return per example whether the label has the highest logit, as 0 or 1: `in_top` of one."""
    return in_top(logits, labels, 1)


def in_top(logits: Array, labels: Array, k: int) -> jax.Array:
    """Return per example whether fewer than k classes rank before the label, as 0 or 1.

    Of equal logits the class with the lower number ranks first, as `argmax` has it. NaN is no success: the
    class that has it ranks before all others, and a label that has it is never among the k.
    """
    classes, label = jnp.arange(logits.shape[-1]), jnp.asarray(labels)[..., None]
    own = jnp.max(jnp.where(classes == label, logits, -jnp.inf), -1, keepdims=True)
    behind = (logits < own) | ((logits == own) & (classes > label)) | (classes == label)
    found = (jnp.sum(~behind, axis=-1) < k) & ~jnp.isnan(own[..., 0])
    return found.astype(jnp.float32)


def confusion_matrix(
    predicted: Array, labels: Array, classes: int, weight: np.ndarray | None = None
) -> np.ndarray:
    """Return counts, or sums of weights, (classes, classes): row is the true class, column the predicted."""
    places = np.asarray(labels).astype(np.int64) * classes + np.asarray(predicted)
    return np.bincount(places, weight, classes * classes).reshape(classes, classes)


def calibration_sums(logits: Array, labels: Array, weight: Array) -> jax.Array:
    """Return (BINS, 3): per bin of confidence the weight, the summed confidence, the summed hits."""
    confidence = jnp.max(jax.nn.softmax(logits), axis=-1)
    which = jnp.clip((confidence * BINS).astype(jnp.int32), 0, BINS - 1)
    member = jax.nn.one_hot(which, BINS) * weight[:, None]
    columns = jnp.stack([jnp.ones_like(confidence), confidence, correct(logits, labels)], -1)
    return member.T @ columns


def calibration_error(sums: Array) -> jax.Array:
    """Return the expected calibration error `sum_b n_b / N |hits_b / n_b - confidence_b / n_b|`.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks"; 15 bins of equal width.
    """
    return jnp.sum(jnp.abs(sums[:, 2] - sums[:, 1])) / jnp.sum(sums[:, 0])
