"""Pickles of arrays, sparse matrices and lists of neighbors, read without trusting them.

A pickle is a program that may call whatever it names. Here the few names that the files need stand for
classes that only take note of what they are told, and any other name is refused; arrays are made afterwards,
of what was noted and after checks.
"""

import io
import math
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from populace.data.download import damaged


class _Kind:
    """A pickled `numpy.dtype`."""

    def __init__(self, name: Any = "", *_: Any) -> None:
        self.name, self.order = name, "="

    def __setstate__(self, state: Any) -> None:
        self.order = state[1]

    def dtype(self) -> np.dtype:
        """Return the type, of plain numbers only."""
        if (
            not isinstance(self.name, str)
            or self.name[:1] not in tuple("biuf")
            or self.order not in ("<", ">", "|", "=")
        ):
            raise ValueError(f"an array of type {self.name!r}, expected numbers")
        return np.dtype(self.order + self.name)


class Array:
    """A pickled `numpy.ndarray` as it was written; no file may make NumPy build what it likes."""

    def __init__(self, *_: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    @property
    def described(self) -> str:
        """Type and shape as the pickle says, such as `u1 (3, 4)`."""
        known = isinstance(self.state, tuple) and len(self.state) == 5 and isinstance(self.state[2], _Kind)
        return f"{self.state[2].name} {self.state[1]}" if known else "nothing"

    def array(self) -> np.ndarray:
        """Return the array, if as many bytes were noted as it needs."""
        _, shape, kind, fortran, content = self.state
        dtype = kind.dtype()
        content = content.encode("latin1") if isinstance(content, str) else content  # Python 2's bytes
        if not all(type(n) is int and n >= 0 for n in shape) or not isinstance(content, bytes):
            raise ValueError(f"an array of shape {shape}")
        if len(content) != (needed := math.prod(shape) * dtype.itemsize):
            raise ValueError(f"an array of {len(content):,} bytes, expected {needed:,} for shape {shape}")
        values = np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")
        return values.astype(dtype.newbyteorder("="))


class _Csr:
    """A pickled `scipy.sparse.csr_matrix`: its attributes, by name."""

    def __init__(self, *_: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def matrix(self) -> sparse.csr_array:
        """Return the matrix, if its arrays fit together."""
        data, indices, offsets = (self.state[name].array() for name in ("data", "indices", "indptr"))
        rows, columns = self.state["_shape"]
        if indices.dtype.kind not in "iu" or offsets.dtype.kind not in "iu" or not np.isfinite(data).all():
            raise ValueError("a matrix of other than finite numbers at whole places")
        if not (
            offsets.shape == (rows + 1,) and offsets[0] == 0 and offsets[-1] == len(indices) == len(data)
            and (np.diff(offsets) >= 0).all() and (indices >= 0).all() and (indices < columns).all()
        ):  # fmt: skip
            raise ValueError(f"entries outside a matrix of {rows} x {columns}")
        return sparse.csr_array((data.astype(np.float32), indices, offsets), shape=(rows, columns))


class _Lists(dict):
    """A pickled `collections.defaultdict`; what makes its defaults is passed over."""

    def __init__(self, *_: Any) -> None:
        super().__init__()


def _bytes(text: Any, encoding: Any) -> bytes:
    """Stand for `_codecs.encode`, by which Python 3 writes bytes in the form of Python 2."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("it encodes other than bytes")
    return text.encode("latin1")


_ADMITTED: Mapping[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): Array,
    ("numpy._core.multiarray", "_reconstruct"): Array,  # its name since NumPy 2
    ("numpy", "ndarray"): Array,
    ("numpy", "dtype"): _Kind,
    ("scipy.sparse.csr", "csr_matrix"): _Csr,
    ("scipy.sparse._csr", "csr_matrix"): _Csr,  # its name since SciPy 1.8
    ("collections", "defaultdict"): _Lists,
    ("__builtin__", "list"): list,
    ("builtins", "list"): list,
    ("_codecs", "encode"): _bytes,
}


def loads(content: bytes) -> Any:
    """Return what a pickle holds, with `Array` in the place of its arrays; other names are refused.

    Whoever calls it must be ready for any exception: that is what a damaged pickle may raise.
    """
    return _Unpickler(io.BytesIO(content), encoding="latin1").load()


class _Unpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        """Return what stands for a name in a pickle, if it is one of the few."""
        if (found := _ADMITTED.get((module_name, global_name))) is not None:
            return found
        raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}, which is refused")


def matrix(path: Path) -> sparse.csr_array:
    """Return a pickled sparse or dense matrix as float32.

    Raises:
        RunError: the file cannot be read, is damaged, asks for a refused name, or holds another thing.

    """
    found = _load(path)
    try:
        if isinstance(found, _Csr):
            return found.matrix()
        if isinstance(found, Array) and (values := found.array()).ndim == 2 and np.isfinite(values).all():
            return sparse.csr_array(values.astype(np.float32))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise damaged(path, f"holds no matrix ({_why(error)})") from None
    raise damaged(path, f"holds {_what(found)}, expected a matrix of numbers")


def array(path: Path) -> np.ndarray:
    """Return a pickled array of two axes.

    Raises:
        RunError: as of `matrix`.

    """
    found = _load(path)
    try:
        if isinstance(found, Array) and (values := found.array()).ndim == 2:
            return values
    except (ValueError, TypeError, AttributeError) as error:
        raise damaged(path, f"holds no array ({_why(error)})") from None
    raise damaged(path, f"holds {_what(found)}, expected an array of two axes")


def neighbors(path: Path) -> dict[int, list[int]]:
    """Return a pickled dictionary of nodes and their neighbors.

    Raises:
        RunError: as of `matrix`.

    """
    found = _load(path)
    if not isinstance(found, dict):
        raise damaged(path, f"holds {_what(found)}, expected a dictionary of nodes and their neighbors")
    for node, others in found.items():
        if type(node) is not int or not isinstance(others, list) or any(type(n) is not int for n in others):
            raise damaged(path, f"has for node {str(node)[:40]} no list of whole numbers")
    return dict(found)


def _load(path: Path) -> Any:
    try:
        return loads(path.read_bytes())
    except OSError as error:
        raise damaged(path, f"cannot be read ({error.strerror})") from None
    except Exception as error:  # a damaged pickle may raise anything at all
        raise damaged(path, f"cannot be unpickled: {_why(error)}") from None


def _why(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _what(found: Any) -> str:
    return {Array: "an array", _Csr: "a sparse matrix"}.get(type(found), type(found).__name__)
