"""A batch of CIFAR-10, as 10,000 binary records or as a Python pickle, which is read without trusting it."""

import io
import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np

from populace.data.download import damaged
from populace.images.datasets.labeled import wrong_label

CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
_BATCH = 10000
_PIXELS = 32 * 32 * 3

Batch = tuple[np.ndarray, np.ndarray]  # images (N, 32, 32, 3) uint8, labels (N,)


def parse_binary(content: bytes, where: str) -> Batch:
    """Read records of a byte, the label, and 3,072 more: all red values row by row, then green, blue."""
    record = 1 + _PIXELS
    if len(content) != _BATCH * record:
        raise damaged(
            where, f"has {len(content):,} bytes, expected {_BATCH * record:,} ({_BATCH:,} x {record:,})"
        )
    records = np.frombuffer(content, np.uint8).reshape(_BATCH, record)
    return _checked(records[:, 1:], records[:, 0].astype(np.int32), where)


def parse_python(content: bytes, where: str) -> Batch:
    """Read a pickled dictionary with `data`, (10000, 3072) uint8 as in the binary form, and `labels`."""
    try:
        batch = _Unpickler(io.BytesIO(content), encoding="latin1").load()
    except Exception as error:  # a damaged pickle may raise anything at all
        raise damaged(
            where, f"is no Python batch of CIFAR-10 ({str(error) or type(error).__name__})"
        ) from None
    if not isinstance(batch, dict) or not {"data", "labels"} <= batch.keys():
        found = ", ".join(map(str, batch)) if isinstance(batch, dict) else type(batch).__name__
        raise damaged(where, f"holds {found}, expected a dictionary with data and labels")
    array, labels = batch["data"], batch["labels"]
    if not isinstance(array, _Array) or (array.kind, array.shape) != ("u1", (_BATCH, _PIXELS)):
        what = f"{array.kind} {array.shape}" if isinstance(array, _Array) else type(array).__name__
        raise damaged(where, f"has data {what}, expected u1 {(_BATCH, _PIXELS)}")
    if len(array.content) != _BATCH * _PIXELS:
        raise damaged(where, f"has {len(array.content):,} bytes of data, expected {_BATCH * _PIXELS:,}")
    if not (isinstance(labels, list) and len(labels) == _BATCH and all(type(x) is int for x in labels)):
        raise damaged(where, f"has labels that are no list of {_BATCH:,} whole numbers")
    pixels = np.frombuffer(array.content, np.uint8).reshape(array.shape, order=array.order)
    return _checked(pixels, np.clip(labels, -1, 255).astype(np.int32), where)


class _Array:
    """A pickled array as it was written, not yet an array: no file may make NumPy build what it likes."""

    def __init__(self, *_: Any) -> None:
        self.shape, self.kind, self.content = (), "nothing", b""
        self.order: Any = "C"

    def __setstate__(self, state: Any) -> None:
        _, self.shape, kind, fortran, content = state
        self.kind, self.order = str(kind.name), "F" if fortran else "C"
        # What Python 2 called a string was bytes.
        self.content = content.encode("latin1") if isinstance(content, str) else bytes(content)


class _Kind:
    """A pickled `numpy.dtype`: its name, such as `u1`, is all that is looked at."""

    def __init__(self, name: Any, *_: Any) -> None:
        self.name = name

    def __setstate__(self, state: Any) -> None:
        pass


class _Unpickler(pickle.Unpickler):
    """Reads plain values and arrays; whatever else a pickle asks for is refused."""

    _admitted: Mapping[tuple[str, str], type] = {
        ("numpy.core.multiarray", "_reconstruct"): _Array,
        ("numpy._core.multiarray", "_reconstruct"): _Array,  # its name since NumPy 2
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Kind,
    }

    def find_class(self, module_name: str, global_name: str) -> Any:
        """Return what stands for a name in a pickle, if it is one of the few."""
        if found := self._admitted.get((module_name, global_name)):
            return found
        raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}")


def _checked(pixels: np.ndarray, labels: np.ndarray, where: str) -> Batch:
    """Return a batch with its channels last, its labels within range."""
    if wrong := wrong_label(labels, len(CLASSES)):
        raise damaged(where, f"is damaged: {wrong}")
    return np.ascontiguousarray(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), labels
