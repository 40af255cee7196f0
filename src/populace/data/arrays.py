"""Checks on the arrays of supervised learning, each with the row that is wrong."""

import functools
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from populace.core.errors import UsageError
from populace.data import given

LARGEST = float(np.finfo(np.float32).max)
COARSE = 1e-3
"""Float32's steps, in deviations of a column, from which on too little of the column is left."""
FREE_CLASSES = 1000
"""Classes that labels may ask for by their highest number, however few labels there are."""
BLOCK = 2**20
"""Values looked at in one go. Sums over many examples are made block by block, of examples in memory and of
those in files alike, so that both have the same statistics bit for bit."""
CONSTANT = 1e-14
"""Deviation, in sizes of the values, below which a column is constant but for float64's rounding."""
_KEPT = (np.uint8, np.float16, np.float32)  # types whose values float32 holds


def check_features(name: str, x: Any, least: int = 1) -> np.ndarray:
    """Return examples as an array of numbers with the examples in front, in the precision they came in.

    Raises:
        UsageError: no numbers, too few examples, or a row with NaN, infinity, or more than float32 holds.

    """
    found = given.numbers(name, x)
    if found.ndim < 1 or found.shape[0] < least:
        raise UsageError(f"{name} has shape {found.shape}; expected at least one example")
    if not math.prod(found.shape[1:]):  # in scikit-learn's words
        raise UsageError(
            f"{name} has 0 feature(s) (shape={found.shape}) while a minimum of 1 is required; give a column"
        )
    if found.dtype.kind == "f":
        for start, rows in _blocks(found):
            rows = rows.reshape(len(rows), math.prod(found.shape[1:]))
            finite = np.isfinite(rows).all(axis=1)
            if not finite.all():
                row = start + int(np.argmin(finite))
                raise UsageError(f"{name} has NaN or infinity in row {row}; remove or fill it")
            small = (np.abs(rows) <= LARGEST).all(axis=1)
            if not small.all():
                row = start + int(np.argmin(small))
                raise UsageError(
                    f"{name} is beyond float32's largest, {LARGEST:.2g}, in row {row}; rescale it"
                )
    return found


def check_labels(name: str, y: Any, examples: int, classes: int | None = None) -> np.ndarray:
    """Return class labels 0, 1, 2, ... as int32, shape (N,).

    Raises:
        UsageError: another number of them than examples, not whole, or out of range; where the number of
            classes is not given, a label of at least 1,000 and the number of examples.

    """
    found = given.numbers(name, y)
    same_length(name, found, examples)
    if found.ndim != 1:
        raise UsageError(f"{name} has shape {found.shape}; expected ({examples},), one label per example")
    if found.dtype.kind == "f" and np.isnan(found).any():
        row = int(np.argmax(np.isnan(found)))
        raise UsageError(f"{name} has a missing value in row {row}; remove or fill it")
    with np.errstate(invalid="ignore"):  # infinity, which is told of below
        whole = found.astype(np.int64)
    if (whole != found).any():
        row = int(np.argmax(whole != found))
        raise UsageError(f"{name}[{row}] is {found[row]}; a class label is a whole number from 0")
    bad = (whole < 0) | (whole >= classes) if classes else whole < 0
    if bad.any():
        row = int(np.argmax(bad))
        upper = f" to {classes - 1}" if classes else ""
        raise UsageError(f"{name}[{row}] is {whole[row]}; class labels go from 0{upper}")
    if not classes:
        check_highest(whole, f"{name}[{{}}]".format, "examples")
    return whole.astype(np.int32)


def check_highest(labels: np.ndarray, where: Callable[[int], str], what: str) -> None:
    """Raise a `UsageError` for a label that would ask for many more classes than there are labels.

    Where nobody says how many classes there are, the highest label does, and a network has an output for
    each: an identifier taken for a class would ask for all memory there is.
    """
    limit = max(FREE_CLASSES, len(labels))
    if len(labels) and labels.max() >= limit:
        row = int(labels.argmax())
        raise UsageError(
            f"{where(row)} is {labels[row]}, which makes {int(labels[row]) + 1:,} classes of {len(labels):,} "
            f"{what}; number the classes from 0, or name them all"
        )


def check_targets(name: str, y: Any, examples: int, outputs: int | None = None) -> np.ndarray:
    """Return targets of a regression, shape (N, K), in the precision they came in.

    Raises:
        UsageError: another number of them than examples, or a row with NaN or infinity.

    """
    found = given.numbers(name, y)
    same_length(name, found, examples)
    found = check_features(name, found)
    found = found.reshape(examples, -1)
    found = found.astype(np.float32) if found.dtype == np.uint8 else found
    if outputs is not None and found.shape[1] != outputs:
        raise UsageError(f"{name} has {found.shape[1]} columns; expected {outputs}")
    return found


def moments(
    x: np.ndarray, rows: np.ndarray, how: str, origin: Any = 0.0, weight: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation over the rows of `kept(x, origin)`.

    They are of everything (`all`), or per `feature` or `channel`; float32 of sums in float64. A row of weight
    w, (N,), counts as w rows would.
    """
    if how == "none":
        return np.zeros((), np.float32), np.ones((), np.float32)
    return _rounded(*_exact_moments(_weighed(x, rows, weight, origin), how))


def origin_and_moments(
    x: np.ndarray, rows: np.ndarray, how: str, weight: np.ndarray | None = None
) -> tuple[np.ndarray, ...]:
    """Return what is to be taken off in float64, and the `moments` (two) of what is then kept.

    The origin is zero but where float32 would not tell the values from one another, as they lie far from zero
    and close together, such as seconds since 1970. It is exact in float32, so that whoever adds it again gets
    the values back. Values that are kept as they are need one pass, others two.
    """
    zero = np.zeros((), np.float32)
    if how == "none":
        return zero, *moments(x, rows, how)
    mean, deviation = _exact_moments(_weighed(x, rows, weight), how)
    origin = zero if x.dtype == np.uint8 else _origin(mean, deviation)
    if x.dtype in _KEPT and not origin.any():
        return origin, *_rounded(mean, deviation)
    return origin, *moments(x, rows, how, origin, weight)


def _rounded(mean: np.ndarray, deviation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return mean.astype(np.float32), np.where(_varies(mean, deviation), deviation, 1).astype(np.float32)


def _origin(mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    far = _varies(mean, deviation) & (np.spacing(np.abs(mean).astype(np.float32)) > COARSE * deviation)
    return np.where(far, mean, 0).astype(np.float32) if far.any() else np.zeros((), np.float32)


def kept(x: np.ndarray, origin: Any) -> np.ndarray:
    """Return values as they are computed with, float32 (or uint8) and less their origin."""
    if x.dtype == np.uint8:
        return x
    origin = np.asarray(origin)
    return (x - origin.astype(np.float64) if origin.any() else x).astype(np.float32, copy=False)


def restored(values: Any, origin: Any) -> Any:
    """Return values with their origin added again: in float64, where there is one."""
    origin = np.asarray(origin, np.float64)
    return np.asarray(values, np.float64) + origin if origin.any() else values


def warn_of_loss(name: str, x: np.ndarray, origin: np.ndarray, how: str) -> None:
    """Warn of the column that float32 leaves least of, if there is one it leaves too little of."""
    if x.dtype in _KEPT:
        return
    origin = origin.astype(np.float64)
    exact = ((block - origin, None) for _, block in _blocks(x))
    mean, deviation = _exact_moments(exact, "feature" if how == "none" else how)
    errors = (np.abs(block - origin - kept(block, origin)).max(axis=0) for _, block in _blocks(x))
    error = functools.reduce(np.maximum, errors)
    lost = np.where(_varies(mean + origin, deviation), error / np.where(deviation > 0, deviation, 1), 0)
    if lost.max(initial=0) > COARSE:
        column = ", ".join(map(str, np.unravel_index(np.argmax(lost), np.atleast_1d(lost).shape)))
        advice = "standardize it, or take off its mean" if how == "none" else "take off more of its mean"
        warnings.warn(
            f"column {column} of {name} does not survive float32: its values are too close together for "
            f"how far they are from zero; {advice}",
            stacklevel=5,
        )


def _exact_moments(
    blocks: Iterator[tuple[np.ndarray, np.ndarray | None]], how: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation over all blocks, (values, weights or None), in float64.

    Two sets with counts, or weights, n, means m and sums of squared differences s have together

        m = m_1 + d n_2 / (n_1 + n_2),  s = s_1 + s_2 + d^2 n_1 n_2 / (n_1 + n_2),  d = m_2 - m_1

    Source: T. F. Chan, G. H. Golub, R. J. LeVeque (1983), Algorithms for Computing the Sample Variance,
    eq. 2.1.
    """
    count, mean, squares = 0, np.zeros(()), np.zeros(())
    for block, weight in blocks:
        axes = {"all": None, "feature": 0, "channel": tuple(range(block.ndim - 1))}[how]
        more: Any = block.size if axes is None else math.prod(block.shape[a] for a in np.atleast_1d(axes))
        if weight is None:
            own = block.mean(axis=axes, dtype=np.float64)
            spread = block.var(axis=axes, dtype=np.float64) * more
        else:
            each = weight.astype(np.float64).reshape(-1, *(1,) * (block.ndim - 1))
            more = more * each.mean()
            own = (block * each).sum(axis=axes) / more
            spread = ((block - own) ** 2 * each).sum(axis=axes)
        between = own - mean
        squares = squares + spread + between**2 * (count * more / (count + more))
        mean = mean + between * (more / (count + more))
        count += more
    return mean, np.sqrt(squares / max(count, 1))


def _weighed(
    x: np.ndarray, rows: np.ndarray, weight: np.ndarray | None, origin: Any = None
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Yield values of the rows, as they are `kept` if an origin is given, and their weights."""
    for start, block in _blocks(x, rows):
        own = None if weight is None else weight[rows[start : start + len(block)]]
        yield (block if origin is None else kept(block, origin)), own


def _blocks(x: np.ndarray, rows: np.ndarray | None = None) -> Iterator[tuple[int, np.ndarray]]:
    """Yield a place and the rows from there on, all or the ones named, as many as make a block."""
    size = max(1, BLOCK // max(1, math.prod(x.shape[1:])))
    for start in range(0, len(x) if rows is None else len(rows), size):
        yield start, x[start : start + size] if rows is None else x[rows[start : start + size]]


def _varies(mean: Any, deviation: Any) -> Any:
    return deviation > CONSTANT * np.abs(mean)


def same_length(name: str, found: np.ndarray, examples: int) -> None:
    """Raise a `UsageError` where there is not one row for each example."""
    if not found.ndim:
        raise UsageError(f"{name} is a single value; expected {examples}, one per example")
    if found.shape[0] != examples:
        raise UsageError(f"{name} has {found.shape[0]} rows; expected {examples}, one per example")


def read_only(tree: Any) -> Any:
    """Return a data set with its arrays made read-only: loaders cache and share them."""
    for leaf in jax.tree.leaves(tree):
        leaf.flags.writeable = False
    return tree
