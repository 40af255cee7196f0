"""Checks of labels and of the parts of a split, for nodes and for graphs."""

import dataclasses
from typing import Any

import numpy as np

from populace.core.errors import UsageError
from populace.core.values import to_float32
from populace.data.arrays import check_highest
from populace.nn.graph.edges import as_array

PARTS = ("train", "validation", "test")


def labels_of(y: Any, rows: int, names: tuple[str, ...], what: str = "node") -> np.ndarray:
    """Return classes (rows,) int32, or targets (rows, K) float32, of nodes or graphs."""
    y = numbers("labels", y)
    check_rows("labels", y.shape, rows, 1 if y.ndim == 1 else 2, what)
    if y.ndim > 1 or y.dtype.kind == "f":
        if np.isinf(y := to_float32(y).reshape(rows, -1)).any():
            row = int(np.isinf(y).any(axis=1).argmax())
            raise UsageError(f"label of {what} {row} is infinite; a target must be finite, or NaN if unknown")
        return y
    wrong = (y < -1) | (y >= len(names)) if names else y < -1
    if wrong.any():
        allowed = f"0 to {len(names) - 1} (there are {len(names)} class names)" if names else "0 or more"
        row = int(wrong.argmax())
        raise UsageError(f"label of {what} {row} is {y[row]}; expected {allowed}, or -1 if unknown")
    if not names:
        check_highest(y, f"label of {what} {{}}".format, f"{what}s")
    return y.astype(np.int32)


def named(data: Any) -> Any:
    """Return a graph or set with class names, whose number becomes a constant of the compiled program."""
    return data if data.names else dataclasses.replace(data, names=tuple(map(str, range(data.classes))))


def is_known(y: np.ndarray) -> np.ndarray:
    """Return (rows,) bool: whether the class, or any target, of a row is known."""
    return np.asarray(y >= 0 if y.ndim == 1 else np.isfinite(y).any(axis=1))


def parts_of(parts: tuple[Any, ...], rows: int, y: Any, name: str, what: str = "node") -> dict[str, Any]:
    """Return the indices of the nodes or graphs in each part; see `Graph.with_split`."""
    taken = np.full(rows, -1, np.int8)
    found: dict[str, Any] = dict.fromkeys(PARTS)
    for number, (part, given) in enumerate(zip(PARTS, parts)):
        if given is None:
            continue
        found[part] = _part(part, given, taken, number, what)
        known = np.zeros(rows, bool) if y is None else is_known(y)
        if len(unlabeled := found[part][~known[found[part]]]):
            raise UsageError(f"{part} {what} {unlabeled[0]} has no label; leave it out, or label it")
    if found["train"] is not None and not len(found["train"]):
        raise UsageError(f"the training part of {name} is empty; it needs at least one {what}")
    return found


def numbers(what: str, values: Any) -> np.ndarray:
    """Return values as an array; raise a `UsageError` if they are not numeric."""
    array = as_array(what, values)
    if array.dtype.kind not in "biuf":
        raise UsageError(f"{what} must be numbers, got {array.dtype}")
    return array


def check_rows(what: str, shape: tuple[int, ...], rows: int, ndim: int, each: str = "node") -> None:
    """Raise a `UsageError` unless an array has the given number of rows and dimensions."""
    if len(shape) != ndim or shape[0] != rows:
        expected = f"({rows}, F)" if ndim == 2 else f"({rows},)"
        raise UsageError(f"{what} have shape {shape}, expected {expected}: one row per {each}")


def _part(part: str, given: Any, taken: np.ndarray, number: int, what: str) -> np.ndarray:
    """Return the indices in a part, and mark them as taken."""
    nodes = np.asarray(given)
    if nodes.dtype == bool:
        if nodes.shape != taken.shape:
            raise UsageError(f"the {part} mask has shape {nodes.shape}, expected {taken.shape}")
        nodes = np.flatnonzero(nodes)
    if nodes.ndim != 1 or (nodes.size and nodes.dtype.kind not in "iu"):
        raise UsageError(
            f"{part} must be {what} indices (n,) or a boolean mask, got {nodes.dtype} {nodes.shape}"
        )
    wrong = nodes[(nodes < 0) | (nodes >= len(taken))]
    if wrong.size:
        raise UsageError(f"{part} has {what} {wrong[0]}; {what}s are numbered 0 to {len(taken) - 1}")
    nodes = nodes.astype(np.int32)
    if (both := nodes[taken[nodes] >= 0]).size:
        other = PARTS[taken[both[0]]]
        raise UsageError(f"{what} {both[0]} is in {other} and in {part}; parts must not overlap")
    taken[nodes] = number
    if nodes.size and (counts := np.bincount(nodes)).max() > 1:
        raise UsageError(f"{what} {counts.argmax()} is listed {counts.max()} times in {part}; list it once")
    return nodes
