"""Pickles of arrays, sparse matrices and lists of neighbors, read without trusting them.

A pickle is a program that may call whatever it names. Here the few names that the files need stand for
classes that only take note of what they are told, and any other name is refused; arrays are made afterwards,
of what was noted and after checks. What a pickle makes is bounded by its size: 207 bytes can nest a tuple
forty times in itself, whose hash as a key takes 2^40 steps, or ask for a gigabyte of zeros.
"""

import io
import math
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from populace.core.untrusted.shown import shown
from populace.core.values import to_float32
from populace.data.download import damaged


class _Kind:
    """A pickled `numpy.dtype`."""

    def __init__(self, name: Any = "", *_: Any) -> None:
        self.name, self.order = name, "="

    def __setstate__(self, state: Any) -> None:
        self.order = state[1]

    def dtype(self) -> np.dtype:
        """Return the type, of plain numbers only."""
        known = isinstance(self.name, str) and re.fullmatch("[biuf][1248]", self.name)
        if not known or self.order not in ("<", ">", "|", "="):
            raise ValueError(f"an array of type {shown(self.name)}, expected numbers")
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
        return f"{self.state[2].name} {shown(self.state[1])}" if known else "nothing"

    def array(self) -> np.ndarray:
        """Return the array, if as many bytes were noted as it needs."""
        _, shape, kind, fortran, content = self.state
        dtype = kind.dtype()
        content = content.encode("latin1") if isinstance(content, str) else content  # Python 2's bytes
        whole = isinstance(shape, tuple) and len(shape) <= _MOST_AXES
        if not whole or not all(type(n) is int and 0 <= n < 2**48 for n in shape):
            raise ValueError(f"an array of shape {shown(shape)}")
        if not isinstance(content, bytes):
            raise ValueError(f"an array of {type(content).__name__}, expected bytes")
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

    def matrix(self, most_columns: int) -> sparse.csr_array:
        """Return the matrix, if its arrays fit together and it is not wider than a limit."""
        data, indices, offsets = (self.state[name].array() for name in ("data", "indices", "indptr"))
        rows, columns = self.state["_shape"]
        if type(rows) is not int or type(columns) is not int or columns > most_columns:
            raise ValueError(f"a matrix of shape {shown((rows, columns))}")
        if indices.dtype.kind not in "iu" or offsets.dtype.kind not in "iu" or not np.isfinite(data).all():
            raise ValueError("a matrix of other than finite numbers at whole places")
        if not (
            offsets.shape == (rows + 1,) and offsets[0] == 0 and offsets[-1] == len(indices) == len(data)
            and (np.diff(offsets) >= 0).all() and (indices >= 0).all() and (indices < columns).all()
        ):  # fmt: skip
            raise ValueError(f"entries outside a matrix of {rows} x {columns}")
        return sparse.csr_array((to_float32(data), indices, offsets), shape=(rows, columns))


class _Lists(dict):
    """A pickled `collections.defaultdict`; what makes its defaults is passed over."""

    def __init__(self, *_: Any) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a dictionary of it has attributes")


def _default() -> None:
    """Stand for `list`, by which a `defaultdict` makes its defaults; nobody calls it."""
    raise pickle.UnpicklingError("it makes a list by a call")


_ADMITTED: Mapping[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): Array,
    ("numpy._core.multiarray", "_reconstruct"): Array,  # its name since NumPy 2
    ("numpy", "ndarray"): Array,
    ("numpy", "dtype"): _Kind,
    ("scipy.sparse.csr", "csr_matrix"): _Csr,
    ("scipy.sparse._csr", "csr_matrix"): _Csr,  # its name since SciPy 1.8
    ("collections", "defaultdict"): _Lists,
    ("__builtin__", "list"): _default,
    ("builtins", "list"): _default,
}
_MOST_AXES = 32
_WIDEST = 65_536  # columns, beside one for each byte of the file: words that no document has, say
_FEW = 1_000  # nodes, likewise
_KEYS = (int, str, bytes, float, bool, type(None))


def loads(content: bytes) -> Any:
    """Return what a pickle holds, with `Array` in the place of its arrays; other names are refused.

    Whoever calls it must be ready for any exception: that is what a damaged pickle may raise.
    """
    if not content:
        raise EOFError("Ran out of input")
    return _Unpickler(content).load()


_Slow: Any = pickle._Unpickler  # pyright: ignore[reportAttributeAccessIssue]


class _Unpickler(_Slow):
    """The unpickler of the standard library in Python, whose steps can be replaced, as those in C cannot."""

    dispatch: ClassVar[dict[int, Any]] = dict(_Slow.dispatch)

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="latin1")
        self._left = len(content)  # bytes that may be made of text

    def find_class(self, module_name: str, global_name: str) -> Any:
        """Return what stands for a name in a pickle, if it is one of the few."""
        if (module_name, global_name) == ("_codecs", "encode"):
            return self._bytes
        if (found := _ADMITTED.get((module_name, global_name))) is not None:
            return found
        raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}, which is refused")

    def _bytes(self, text: Any, encoding: Any) -> bytes:
        """Stand for `_codecs.encode`, by which Python 3 writes bytes in the form of Python 2."""
        if not isinstance(text, str) or encoding != "latin1":
            raise pickle.UnpicklingError("it encodes other than bytes")
        self._left -= len(text)
        if self._left < 0:
            raise pickle.UnpicklingError("it makes more bytes than it has")
        return text.encode("latin1")

    def _load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set([key, value])

    def _load_setitems(self) -> None:
        items = self.pop_mark()
        self._set(items)

    def _load_dict(self) -> None:
        items = self.pop_mark()
        self.append({})
        self._set(items)

    def _set(self, items: list[Any]) -> None:
        for key, value in zip(items[::2], items[1::2]):
            if type(key) not in _KEYS:
                raise pickle.UnpicklingError(f"a {type(key).__name__} is a key")
            self.stack[-1][key] = value

    def _refuse(self) -> None:
        raise pickle.UnpicklingError("it makes a set or a buffer, which no file has")

    for _code, _step in (
        (pickle.SETITEM, _load_setitem), (pickle.SETITEMS, _load_setitems), (pickle.DICT, _load_dict),
        (pickle.EMPTY_SET, _refuse), (pickle.ADDITEMS, _refuse), (pickle.FROZENSET, _refuse),
        (pickle.BYTEARRAY8, _refuse), (pickle.NEXT_BUFFER, _refuse),
    ):  # fmt: skip
        dispatch[_code[0]] = _step


def matrix(path: Path) -> sparse.csr_array:
    """Return a pickled sparse or dense matrix as float32.

    Raises:
        RunError: the file cannot be read, is damaged, asks for a refused name, or holds another thing.

    """
    found = _load(path)
    try:
        if isinstance(found, _Csr):
            return found.matrix(_WIDEST + path.stat().st_size)
        if isinstance(found, Array) and (values := found.array()).ndim == 2 and np.isfinite(values).all():
            return sparse.csr_array(to_float32(values))
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
    most = _FEW + path.stat().st_size
    for node, others in found.items():
        if type(node) is not int or not isinstance(others, list) or any(type(n) is not int for n in others):
            raise damaged(path, f"has for node {shown(node)[:40]} no list of whole numbers")
        if (last := max([node, *others])) > most:
            raise damaged(path, f"has node {shown(last)}, more than a file of its size has")
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
