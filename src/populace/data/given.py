"""Given: what a person hands over as examples, labels or weights, read as one NumPy array.

Arrays and lists, data frames and columns of pandas, polars and Arrow (through narwhals, which needs none of
them), and anything that NumPy reads. Everything that takes data reads it here, so that the same input is
accepted, or refused with the same line, wherever it is given.
"""

from typing import Any

import numpy as np

from populace.core.errors import UsageError, first_line

_SHOWN = 40  # characters of a text in a message


class NotNumbersError(UsageError, TypeError):
    """Something that is no number where numbers are expected; a `TypeError` too, as scikit-learn has it."""


def numbers(name: str, x: Any) -> np.ndarray:
    """Return what was given as an array of numbers: whole, real, or bool.

    Args:
        name: of the argument, for errors.
        x: an array, lists, or a data frame or column of numbers; of nullable types if nothing is missing.

    Raises:
        UsageError: a missing value, or something that is no number, with its place; a sparse matrix; a frame
            that is not in memory, or has a column twice; rows of different lengths.

    """
    return _numeric(name, _array(name, x))


def labels(name: str, y: Any) -> np.ndarray:
    """Return class labels as an array of numbers, or of text.

    Raises:
        UsageError: as `numbers` raises it; and text and numbers side by side.

    """
    table = frame(y, name)
    if table is not None and len(getattr(table, "columns", ())) == 1:
        return labels(name, next(table.iter_columns()).to_native())[:, None]
    found, expected = _array(name, y), "numbers or text"
    if found.dtype.kind == "S":
        raise UsageError(f"{name} holds bytes; give text, such as by {name}.astype(str)")
    if found.dtype.kind == "T":
        found = found.astype(object)
    if found.dtype.kind != "O":
        return found if found.dtype.kind == "U" else _numeric(name, found, expected)
    first = {isinstance(label, str): place for place, label in reversed([*np.ndenumerate(found)])}
    if True not in first:
        return _numbers_of_objects(name, found, expected)
    if False not in first:
        return found.astype(str)
    other, text = found[first[False]], found[first[True]]
    if _missing(other):
        raise _hole(name, _place(first[False]))
    raise UsageError(
        f"{name} holds both text, {_short(text)} in {_place(first[True])}, and {_short(other)} in "
        f"{_place(first[False])}; make all labels text, or all numbers"
    )


def columns(x: Any) -> tuple[str, ...]:
    """Return the names of a data frame's columns; none of anything else, or where a name is no text."""
    names = tuple(getattr(frame(x), "columns", ()))
    return names if all(isinstance(name, str) for name in names) else ()


def frame(x: Any, name: str = "x") -> Any:
    """Return a data frame or column as narwhals has it, or None of anything else.

    Raises:
        UsageError: a frame that is not in memory, has a column twice, or cannot be read.

    """
    kind = type(x)
    root = kind.__module__.partition(".")[0]
    framed = root == "pyarrow" or hasattr(kind, "to_numpy") or hasattr(kind, "columns")
    if isinstance(x, np.ndarray | list | tuple) or not framed:
        return None
    import narwhals

    if root == "pyarrow":
        import pyarrow

        if isinstance(x, pyarrow.Array):
            x = pyarrow.chunked_array([x])
        if isinstance(x, pyarrow.RecordBatch):
            x = pyarrow.Table.from_batches([x])
    try:
        found = narwhals.from_native(x, allow_series=True, pass_through=True)
    except Exception as error:
        names = [*map(str, x.column_names if hasattr(x, "column_names") else x.columns)]
        if len(set(names)) == len(names):
            raise UsageError(f"{name} cannot be read as a data frame: {first_line(error)}") from None
        twice = next(n for n in names if names.count(n) > 1)
        raise UsageError(f"{name} has the column '{twice}' more than once; rename or drop one") from None
    if isinstance(found, narwhals.LazyFrame):
        raise UsageError(f"{name} is a {_kind(x)}, which is not in memory; collect or compute it first")
    return found if isinstance(found, narwhals.DataFrame | narwhals.Series) else None


def _numeric(name: str, found: np.ndarray, expected: str = "numbers") -> np.ndarray:
    if found.dtype.kind == "O":
        return _numbers_of_objects(name, found, expected)
    if found.dtype.kind in "UST":
        raise _text(name, found, (0,) * found.ndim)
    if found.dtype.kind == "c":
        raise UsageError(
            f"Complex data not supported: {name} is {found.dtype}; give real and imaginary parts apart"
        )
    if found.dtype.name.startswith(("bfloat", "float8")):  # of JAX
        return found.astype(np.float32)
    if found.dtype.kind not in "fiub":
        raise NotNumbersError(f"{name} must hold {expected}, got {found.dtype}; convert it")
    return found


def _array(name: str, x: Any) -> np.ndarray:
    """Return what was given as an array of any type."""
    _refuse_sparse(name, x)
    table = frame(x, name)
    if table is not None:
        return _of_frame(name, table)
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise _hole(name, _place(np.argwhere(np.ma.getmaskarray(x))[0]))
    try:
        found = np.asarray(x)
        if isinstance(x, list | tuple) and found.dtype.kind in "US":
            found = np.array(x, dtype=object)  # NumPy makes text of numbers that stand beside text
    except ValueError as error:
        if "inhomogeneous" in str(error):
            raise UsageError(f"{name} must be one array; its rows differ in length") from None
        raise UsageError(f"{name} cannot be read as an array: {first_line(error)}") from None
    except Exception as error:
        raise UsageError(f"{name} cannot be read as an array: {first_line(error)}") from None
    if found.dtype.kind == "O" and not found.ndim:
        raise NotNumbersError(f"{name} must be an array, a data frame or lists, got {_kind(x)}")
    return found


def _of_frame(name: str, table: Any) -> np.ndarray:
    import narwhals

    if isinstance(table, narwhals.Series):
        return _of_column(name, table)
    called = [f"column '{label}' of {name}" for label in table.columns]
    parts = [numbers(c, _of_column(c, column)) for c, column in zip(called, table.iter_columns())]
    kind = np.result_type(*parts) if parts else np.float64
    out = np.empty((len(table), len(parts)), kind)
    for i, part in enumerate(parts):
        out[:, i] = part
    return out


def _of_column(name: str, column: Any) -> np.ndarray:
    """Return a column as it is; a missing value is refused, which NumPy's types would hide."""
    _refuse_sparse(name, column.to_native())
    try:
        missing, found = column.is_null().to_numpy(), column.to_numpy()
    except Exception as error:
        raise UsageError(f"{name} cannot be read as an array: {first_line(error)}") from None
    if missing.any():
        raise _hole(name, f"row {int(np.argmax(missing))}")
    return np.asarray(found)


def _numbers_of_objects(name: str, found: np.ndarray, expected: str) -> np.ndarray:
    for place, value in np.ndenumerate(found):
        if _missing(value):
            raise _hole(name, _place(place))
        if isinstance(value, str | bytes):
            raise _text(name, found, place)
        if np.ndim(value):
            raise NotNumbersError(f"{name} must hold {expected}; {_place(place)} has {_kind(value)}")
        try:
            float(value)
        except OverflowError:
            raise UsageError(f"{name} is too large in {_place(place)}; rescale it") from None
        except Exception as error:
            raise NotNumbersError(
                f"{name} must hold {expected}; {_place(place)} has {_kind(value)}: {first_line(error)}"
            ) from None
    narrow = np.array(found.tolist())
    return narrow if narrow.dtype.kind in "fiub" else found.astype(np.float64)


def _refuse_sparse(name: str, x: Any) -> None:
    """Raise a `UsageError` for what stores only what is not zero: networks read every value."""
    if type(x).__module__.startswith("scipy.sparse") or hasattr(x, "tocsr"):
        size = np.prod(x.shape, dtype=float) * x.dtype.itemsize / 1e6
        raise NotNumbersError(
            f"{name} is a sparse {type(x).__name__} of shape {x.shape}; give it dense, by {name}.toarray(), "
            f"which takes {size:,.1f} MB"
        )
    if str(getattr(x, "dtype", "")).startswith("Sparse["):  # a column of pandas
        raise NotNumbersError(f"{name} is sparse; give it dense, by its sparse.to_dense()")


def _missing(value: Any) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and bool(value != value)


def _hole(name: str, place: str) -> UsageError:
    return UsageError(f"{name} has a missing value in {place}; remove or fill it")


def _text(name: str, found: np.ndarray, place: tuple[int, ...]) -> UsageError:
    shown = f"; {_place(place)} has {_short(found[place])}" if found.size else ""
    return NotNumbersError(f"{name} must hold numbers, not text{shown}")


def _short(value: Any) -> str:
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _place(place: Any) -> str:
    row = f"row {int(place[0])}" if len(place) else "it"
    return f"{row}, column {int(place[1])}" if len(place) == 2 else row


def _kind(value: Any) -> str:
    kind = type(value)
    own = kind.__module__.partition(".")[0]
    return kind.__qualname__ if own == "builtins" else f"{own}.{kind.__qualname__}"
