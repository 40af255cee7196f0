"""Example files: examples that stay on disk, as memory-mapped arrays, and are read by the row."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from populace.core.errors import UsageError, first_line
from populace.data.arrays import BLOCK, kept, restored
from populace.data.file_stamp import check_unchanged, identity, stamp

DEFAULT_MEMORY = 2**28
"""Bytes of examples that are held in memory at once where nothing else is said: 256 MiB."""


def is_path(x: Any) -> bool:
    """Return whether an argument names a file."""
    return isinstance(x, str | os.PathLike)


def open_array(name: str, x: Any, *, mapped: bool = False) -> Any:
    """Return the array in a `.npy` file where `x` is a path, otherwise `x` as it is.

    Args:
        name: of the argument, for errors.
        x: path or array.
        mapped: leave the array in its file, as a `numpy.memmap`; else it is read.

    Raises:
        UsageError: no such file, or one that holds no array of numbers.

    """
    if not is_path(x):
        return x
    path = Path(x)
    if not path.is_file():
        raise UsageError(f"{name}: no file '{path}'; give the path of an array that numpy.save wrote")
    try:
        # Mapped in any case: what its head says is compared with the file, before memory is asked for.
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise UsageError(f"{name}: cannot read '{path}': {error.strerror or error}") from None
    except Exception as error:  # the head of a damaged file may raise anything at all
        reason = first_line(error)
        raise UsageError(f"{name}: '{path}' is no array as numpy.save writes it ({reason})") from None
    if not isinstance(found, np.ndarray):
        raise UsageError(f"{name}: '{path}' holds several arrays; save one with numpy.save")
    return found if mapped else np.array(found)


class ExampleFiles:
    """Examples in one or more files, one after the other; takes the place of an array of them.

    Only the rows that are asked for are read, and converted as an array of all would be: to float32, less the
    origin, or left as uint8.

    Args:
        parts: memory-mapped arrays (N, ...) of one type and shape of example; arrays in memory do too.
        origin: taken off in float64; see [`Data`][populace.supervised.data.Data].
        memory: bytes of examples that may be held in memory at once.

    Attributes:
        shape: as that of the array of all examples, (N, ...).
        dtype: uint8 or float32, that of the rows that are read.

    """

    def __init__(self, parts: Sequence[np.ndarray], origin: np.ndarray, memory: int) -> None:
        self._given = tuple(parts)
        self._parts = tuple(np.asarray(part) for part in parts)
        self._starts = np.cumsum([0, *map(len, self._parts)])
        self._origin, self.memory = np.asarray(origin), memory
        self.shape: tuple[int, ...] = (int(self._starts[-1]), *self._parts[0].shape[1:])
        self.dtype = np.dtype(np.uint8 if self._parts[0].dtype == np.uint8 else np.float32)
        self._stamps = tuple(map(stamp, self._given))
        parts_are = tuple(map(identity, self._given, self._stamps))
        self._identity = (parts_are, self._origin.tobytes(), self._origin.shape, memory)

    @property
    def row_bytes(self) -> int:
        """Bytes of one example as it is read."""
        return int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize

    def read(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Read rows, (M,), into `out`, (M, ...), in the order in which they lie on the disk.

        Raises:
            RunError: a file was changed or removed since it was opened.

        """
        self.check_unchanged()
        order = np.argsort(rows, kind="stable")
        for at in np.split(order, range(self._block, len(order), self._block)):
            out[at] = self._read_sorted(rows[at])

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Return rows, (M, ...), as `read` reads them."""
        out = np.empty((len(rows), *self.shape[1:]), self.dtype)
        self.read(np.asarray(rows), out)
        return out

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield all examples, some at a time."""
        for start in range(0, len(self), self._block):
            yield self.take(np.arange(start, min(start + self._block, len(self))))

    def check_unchanged(self) -> None:
        """Raise a `RunError` if a file is not the one that was opened."""
        for given, stamped in zip(self._given, self._stamps):
            check_unchanged(given, stamped)

    @property
    def _block(self) -> int:
        return max(1, BLOCK // max(1, int(np.prod(self.shape[1:], dtype=np.int64))))

    def _read_sorted(self, rows: np.ndarray) -> np.ndarray:
        ends = np.searchsorted(rows, self._starts[1:])
        found = []
        for part, start, own in zip(self._parts, self._starts, np.split(rows, ends[:-1])):
            if len(own):
                found.append(kept(part[own - start], self._origin))
        return found[0] if len(found) == 1 else np.concatenate(found)

    def __len__(self) -> int:
        return self.shape[0]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ExampleFiles) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    def __repr__(self) -> str:
        return f"ExampleFiles({self.dtype}{list(self.shape)})"


class Selection:
    """Some rows of example files as they were given, read when they are asked for; indexed like an array."""

    def __init__(self, files: ExampleFiles, rows: np.ndarray, origin: Any) -> None:
        self._files, self._rows, self._origin = files, np.asarray(rows), origin
        self.shape = (len(self._rows), *files.shape[1:])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> np.ndarray:
        """Return one example for a number, several for a slice or an array of numbers."""
        rows = self._rows[index]
        found = restored(self._files.take(np.atleast_1d(rows)), self._origin)
        return found if np.ndim(rows) else found[0]
