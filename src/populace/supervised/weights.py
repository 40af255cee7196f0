"""Weights: what an example counts for, in the loss, in metrics and in the statistics of the data."""

from typing import Any

import numpy as np

from populace.core.errors import UsageError
from populace.data import given
from populace.data.arrays import LARGEST, same_length
from populace.data.example_files import open_array

_SMALLEST = float(np.finfo(np.float32).tiny)


def sample_weights(name: str, weight: Any, examples: int) -> np.ndarray | None:
    """Return weights of examples, (N,) float32; None where none are given.

    Raises:
        UsageError: another number of them than examples; one that is negative or not finite; all are zero;
            a sum beyond float32.

    """
    if weight is None:
        return None
    found = given.numbers(name, open_array(name, weight))
    same_length(name, found, examples)
    if found.ndim != 1:
        raise UsageError(f"{name} has shape {found.shape}; expected ({examples},), one weight per example")
    found = found.astype(np.float64)
    bad = ~(np.isfinite(found) & (found >= 0))
    if bad.any():
        row = int(np.argmax(bad))
        raise UsageError(f"{name}[{row}] is {found[row]:g}; a weight is a finite number of at least 0")
    if found.sum() > LARGEST:
        raise UsageError(f"{name} adds up to more than float32's largest, {LARGEST:.2g}; rescale it")
    kept = np.where(found < _SMALLEST, 0, found).astype(np.float32)
    if not kept.any():
        raise UsageError(f"{name} is zero for all examples; some weight must be above 0")
    return kept


def weighed(weight: np.ndarray | None, examples: int) -> np.ndarray:
    """Return the rows of examples whose weight is not zero, which alone are ever looked at."""
    return np.arange(examples, dtype=np.int32) if weight is None else np.flatnonzero(weight).astype(np.int32)


def joined(
    weight: np.ndarray | None, examples: int, other: np.ndarray | None, others: int
) -> np.ndarray | None:
    """Return the weights of examples and of others behind them; None where neither has any."""
    if weight is None and other is None:
        return None
    parts = ((weight, examples), (other, others))
    return np.concatenate([np.ones(n, np.float32) if w is None else w for w, n in parts])


def told_apart(weight: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    """Return the weights, or None where those of the rows are equal: they are then none."""
    if weight is None or (weight[rows] == weight[rows[:1]]).all():
        return None
    return weight
