"""Checks on the arrays of supervised learning, each with the row that is wrong, and their split."""

from typing import Any

import numpy as np

from populace.errors import UsageError


def check_features(name: str, x: Any) -> np.ndarray:
    """Return examples as an array of numbers with the examples in front.

    Raises:
        UsageError: no numbers, no examples, or a row with NaN or infinity.

    """
    found = _numeric(name, x)
    if found.ndim < 1 or found.shape[0] == 0:
        raise UsageError(f"{name} has shape {found.shape}; expected at least one example")
    if found.dtype.kind == "f":
        finite = np.isfinite(found.reshape(found.shape[0], -1)).all(axis=1)
        if not finite.all():
            raise UsageError(f"{name} has NaN or infinity in row {int(np.argmin(finite))}; remove or fill it")
    return found if found.dtype == np.uint8 else found.astype(np.float32, copy=False)


def check_labels(name: str, y: Any, examples: int, classes: int | None = None) -> np.ndarray:
    """Return class labels 0, 1, 2, ... as int32, shape (N,).

    Raises:
        UsageError: another number of them than examples, not whole, or out of range.

    """
    found = _numeric(name, y)
    _same_length(name, found, examples)
    if found.ndim != 1:
        raise UsageError(f"{name} has shape {found.shape}; expected ({examples},), one label per example")
    whole = found.astype(np.int64)
    if (whole != found).any():
        row = int(np.argmax(whole != found))
        raise UsageError(f"{name}[{row}] is {found[row]}; a class label is a whole number from 0")
    bad = (whole < 0) | (whole >= classes) if classes else whole < 0
    if bad.any():
        row = int(np.argmax(bad))
        upper = f" to {classes - 1}" if classes else ""
        raise UsageError(f"{name}[{row}] is {whole[row]}; class labels go from 0{upper}")
    return whole.astype(np.int32)


def check_targets(name: str, y: Any, examples: int, outputs: int | None = None) -> np.ndarray:
    """Return targets of a regression as float32, shape (N, K).

    Raises:
        UsageError: another number of them than examples, or a row with NaN or infinity.

    """
    found = check_features(name, y).astype(np.float32)
    _same_length(name, found, examples)
    found = found.reshape(examples, -1)
    if outputs is not None and found.shape[1] != outputs:
        raise UsageError(f"{name} has {found.shape[1]} columns; expected {outputs}")
    return found


def split(labels: np.ndarray | None, examples: int, held_out: float, seed: int) -> tuple[np.ndarray, ...]:
    """Return the rows to train on and the rows held out, drawn at random, class by class if labelled."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(examples).astype(np.int32)
    if labels is None:
        take = round(held_out * examples)
        return np.sort(order[take:]), np.sort(order[:take])
    held = np.zeros(examples, bool)
    for c in np.unique(labels):
        rows = order[labels[order] == c]
        held[rows[: round(held_out * len(rows))]] = True
    rows = np.arange(examples, dtype=np.int32)
    return rows[~held], rows[held]


def moments(x: np.ndarray, rows: np.ndarray, how: str) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation over the rows: of everything, or per feature or channel."""
    if how == "none":
        return np.zeros((), np.float32), np.ones((), np.float32)
    part = x[rows]
    axes = {"all": None, "feature": 0, "channel": tuple(range(part.ndim - 1))}[how]
    mean = part.mean(axis=axes, dtype=np.float64)
    deviation = part.std(axis=axes, dtype=np.float64)
    return mean.astype(np.float32), np.where(deviation > 0, deviation, 1).astype(np.float32)


def _numeric(name: str, x: Any) -> np.ndarray:
    try:
        found = np.asarray(x)
    except ValueError:
        raise UsageError(f"{name} must be one array; its rows differ in length") from None
    if found.dtype.kind not in "fiub":
        raise UsageError(f"{name} must hold numbers, got {found.dtype}")
    return found


def _same_length(name: str, found: np.ndarray, examples: int) -> None:
    if found.ndim < 1 or found.shape[0] != examples:
        count = found.shape[0] if found.ndim else 0
        raise UsageError(f"{name} has {count} rows; expected {examples}, one per example")
