"""Preparation: examples opened, checked against one another, split, and their statistics."""

from collections.abc import Callable
from typing import Any

import numpy as np

from populace.core.errors import UsageError
from populace.core.values import plain
from populace.data import arrays, given
from populace.data.arrays import check_features
from populace.data.classes import Classes
from populace.data.example_files import DEFAULT_MEMORY, ExampleFiles, open_array
from populace.data.splits import hold_out
from populace.supervised.weights import joined, sample_weights, told_apart, weighed

Check = Callable[[str, Any, int], np.ndarray]
"""(name, y, number of examples) -> y, checked."""
STANDARDIZE = ("none", "all", "feature", "channel")


def prepared(
    x: Any, y: Any, check: Check, *, classes: bool, columns: tuple[str, ...], memory: int, sample_weight: Any,
    test: Any, validation: Any, standardize: str, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Return the arrays of [`Data`][populace.supervised.data.Data], whose `from_classes` has the arguments.

    Args:
        x: examples, as `opened` returns them.
        y: labels or targets, checked.
        check: checks those of other parts.
        classes: whether y are numbers of classes; else they are targets, and standardized.
        columns: names of the columns of x.
        memory: as `opened` returns it.
        sample_weight: weights of the examples.
        test: what to judge by.
        validation: what to choose by.
        standardize: how.
        seed: of the split.

    """
    if standardize not in STANDARDIZE:
        raise UsageError(f"standardize must be one of {', '.join(STANDARDIZE)}, got {standardize!r}")
    seed = plain(seed)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise UsageError(f"seed must be a whole number of at least 0, got {seed!r}")
    weight = sample_weights("sample_weight", sample_weight, len(x))
    files = [x] if memory else []
    test_x, test_y, test_weight = (None,) * 3 if test is None else part("test", test, x, columns, check)
    rows, validation = weighed(weight, len(x)), plain(validation)
    if not isinstance(validation, tuple | list):
        if not (isinstance(validation, float | int) and 0 <= validation < 1):
            raise UsageError(f"validation must be a share in [0, 1), or (x, y), got {validation!r}")
        train, held = hold_out(y[rows] if classes else None, len(rows), float(validation), seed)
        train, held = rows[train], rows[held]
    else:
        more_x, more_y, more_weight = part("validation", validation, x, columns, check)
        train, held = rows, np.int32(len(x)) + weighed(more_weight, len(more_x))
        weight = joined(weight, len(x), more_weight, len(more_x))
        y = np.concatenate([y, more_y])
        if files:
            files.append(more_x)
        else:
            x = np.concatenate([x, more_x])
    if not len(train):
        raise UsageError(f"validation {validation:g} leaves no example to train on of {len(rows)}")
    weight = told_apart(weight, np.concatenate([train, held]))
    tested = None if test_x is None else weighed(test_weight, len(test_x))
    test_weight = None if tested is None else told_apart(test_weight, tested)
    if files:
        origin, mean, deviation = statistics("x", x, train, standardize, weight)
        x = ExampleFiles(files, origin, memory)
        test_x = None if test_x is None else ExampleFiles([test_x], origin, memory)
    else:
        x, test_x, origin, mean, deviation = standard("x", x, test_x, train, standardize, weight)
    scales: Any = (np.zeros((), np.float32), *arrays.moments(y, train, "none"))
    if not classes:
        y, test_y, *scales = standard("y", y, test_y, train, "feature", weight)
    y_origin, y_mean, y_deviation = scales
    return {
        "x": x, "y": y, "train": train, "validation": held, "test_x": test_x, "test_y": test_y,
        "origin": origin, "y_origin": y_origin, "mean": mean, "deviation": deviation, "y_mean": y_mean,
        "y_deviation": y_deviation, "weight": weight, "test_weight": test_weight, "test": tested,
        "mean_weight": None if weight is None else weight[train].mean(dtype=np.float64).astype(np.float32),
    }  # fmt: skip


def counted(fields: dict[str, Any], classes: Classes) -> np.ndarray:
    """Return the sum of the weights of the training examples of each class, (classes,) float32.

    Raises:
        UsageError: only one class has any.

    """
    rows, weight = fields["train"], fields["weight"]
    counts = np.bincount(fields["y"][rows], None if weight is None else weight[rows], classes.count)
    if np.count_nonzero(counts) < 2:
        only = int(counts.argmax())
        raise UsageError(
            f"all examples to train on are of the class {classes.names[only] if classes.names else only}; "
            "a classification needs at least two classes"
        )
    return counts.astype(np.float32)


def opened(x: Any, memory: int | None) -> tuple[Any, int]:
    """Return examples, and how much memory those in files may take; 0 where they are in memory already.

    Raises:
        UsageError: no examples, a file that is missing or damaged, or a limit that cannot be.

    """
    x = open_array("x", x, mapped=True)
    if not isinstance(x, np.memmap):
        if memory is not None:
            raise UsageError(
                "memory limits what is read from files, and x is an array in memory; "
                "save it with numpy.save and give the path"
            )
        return check_features("x", x), 0
    memory = DEFAULT_MEMORY if memory is None else plain(memory)
    if isinstance(memory, bool) or not isinstance(memory, int) or memory < 1:
        raise UsageError(f"memory must be a whole number of bytes, at least 1, got {memory!r}")
    check_features("x", x)
    return x, memory


def part(
    name: str, more: Any, x: np.ndarray, columns: tuple[str, ...], check: Check
) -> tuple[Any, np.ndarray, np.ndarray | None]:
    """Return more examples beside x, what is to be predicted of them, and weights.

    The examples stay in a file if those of x are in files.

    Args:
        name: of the part, for errors.
        more: (x, y), or (x, y, weights).
        x: examples that these must have the shape of.
        columns: names of the columns of x, if they have any.
        check: checks y.

    """
    if not (isinstance(more, tuple | list) and len(more) in (2, 3)):
        size = f" of {len(more)}" if isinstance(more, tuple | list) else ""
        raise UsageError(f"{name} must be (x, y) or (x, y, sample_weight), got {type(more).__name__}{size}")
    check_columns(f"{name} x", more[0], columns)
    streamed = isinstance(x, np.memmap)
    raw = open_array(f"{name} x", more[0], mapped=streamed)
    other = check_features(f"{name} x", raw)
    if other.shape[1:] != x.shape[1:]:
        raise UsageError(f"{name} x has examples of shape {other.shape[1:]}; those of x have {x.shape[1:]}")
    if streamed and other.dtype != x.dtype:
        raise UsageError(f"{name} x is {other.dtype}, x is {x.dtype}; save both with one type")
    if x.dtype == np.uint8 and other.dtype != np.uint8:
        if ((other < 0) | (other > 255) | (other != np.floor(other))).any():
            raise UsageError(f"{name} x is {other.dtype}, x is uint8; give both in the same units")
        other = other.astype(np.uint8)
    y = check(f"{name} y", open_array(f"{name} y", more[1]), len(other))
    weight = sample_weights(f"{name} sample_weight", more[2] if len(more) == 3 else None, len(other))
    return raw if streamed and isinstance(raw, np.memmap) else other, y, weight


def check_columns(name: str, x: Any, columns: tuple[str, ...]) -> None:
    """Raise a `UsageError` if a data frame has other columns than these, or has them in another order."""
    found = columns and given.columns(x)
    if not found or found == columns:
        return
    if more := [c for c in found if c not in columns]:
        raise UsageError(f"{name} has a column '{more[0]}', which the training examples have not; drop it")
    if less := [c for c in columns if c not in found]:
        raise UsageError(f"{name} has no column '{less[0]}', which the training examples have")
    place = next(i for i, (one, other) in enumerate(zip(found, columns)) if one != other)
    raise UsageError(
        f"{name} has its columns in another order: '{found[place]}' is where the training examples have "
        f"'{columns[place]}'; give them in that order"
    )


def standard(
    name: str, x: np.ndarray, test: np.ndarray | None, rows: np.ndarray, how: str, weight: np.ndarray | None
) -> tuple[Any, ...]:
    """Return values and test values as they are kept, then origin, mean and deviation."""
    origin, mean, deviation = statistics(name, x, rows, how, weight)
    x, test = arrays.kept(x, origin), None if test is None else arrays.kept(test, origin)
    return x, test, origin, mean, deviation


def statistics(
    name: str, x: np.ndarray, rows: np.ndarray, how: str, weight: np.ndarray | None
) -> tuple[np.ndarray, ...]:
    """Return origin, mean and deviation; a few rows are in memory at a time."""
    origin, mean, deviation = arrays.origin_and_moments(x, rows, how, weight)
    arrays.warn_of_loss(name, x, origin, how)
    return origin, mean, deviation
