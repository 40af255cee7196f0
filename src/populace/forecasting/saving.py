"""Fitted forecasters as one file, which holds numbers and names alone: loading it runs nothing."""

import dataclasses
import importlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from populace.core import files
from populace.core.errors import RunError, UsageError, first_line

_FORMAT = 1
_TEXT = "model"
_PACKAGE = "populace.forecasting"


def save(model: Any, path: str | Path) -> Path:
    """Write a model to a file, whole or not at all.

    Raises:
        UsageError: something in it that cannot be saved, such as a network of one's own.

    """
    arrays: list[np.ndarray] = []
    plain = {"format": _FORMAT, "model": _encoded(model, arrays)}
    buffer = io.BytesIO()
    named = {str(i): array for i, array in enumerate(arrays)}
    np.savez(buffer, allow_pickle=False, **named, **{_TEXT: np.asarray(json.dumps(plain))})  # pyright: ignore[reportArgumentType]
    path = Path(path)
    files.write(path, buffer.getvalue())
    return path


def load(path: str | Path) -> Any:
    """Return the model in a file of [`save`][populace.forecasting.model.ForecastModel.save].

    Raises:
        UsageError: there is no such file.
        RunError: it was not written by `save`, or is damaged.

    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    try:
        with zipfile.ZipFile(path) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise ValueError("it is packed")  # what is stored as it is takes no more memory than disk
        with np.load(path, allow_pickle=False) as stored:
            plain = json.loads(str(stored[_TEXT]))
            if plain["format"] != _FORMAT:
                raise ValueError(f"its format is {plain['format']}, and this version reads {_FORMAT}")
            return _decoded(plain["model"], stored)
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        ImportError,
        zipfile.BadZipFile,
    ) as error:
        raise RunError(f"{path} is no saved forecaster: {first_line(error)}") from None


def _encoded(value: Any, arrays: list[np.ndarray]) -> Any:
    def inner(one: Any) -> Any:
        return _encoded(one, arrays)

    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return inner(value.item())
    if isinstance(value, np.ndarray) and value.dtype.kind != "O":
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, datetime | date):
        return {type(value).__name__: value.isoformat()}
    if isinstance(value, tuple | list):
        return {type(value).__name__: [inner(one) for one in value]}
    if isinstance(value, Mapping):
        return {"dict": {str(name): inner(one) for name, one in value.items()}}
    thing: Any = value
    kind = f"{type(thing).__module__}:{type(thing).__name__}"
    try:
        _kind(kind)
    except ValueError:
        raise UsageError(
            f"a {type(thing).__name__} cannot be saved; expected models, networks and heads of populace"
        ) from None
    names = [field.name for field in dataclasses.fields(thing)]
    return {"kind": kind, "fields": {name: inner(getattr(thing, name)) for name in names}}


def _decoded(value: Any, stored: Mapping[str, np.ndarray]) -> Any:
    def inner(one: Any) -> Any:
        return _decoded(one, stored)

    if not isinstance(value, dict):
        return value
    if "kind" in value:
        return _kind(value["kind"])(**{name: inner(one) for name, one in value["fields"].items()})
    ((kind, content),) = value.items()
    made: dict[str, Callable[[Any], Any]] = {
        "array": lambda place: stored[str(place)],
        "tuple": lambda items: tuple(map(inner, items)),
        "list": lambda items: list(map(inner, items)),
        "dict": lambda items: {name: inner(one) for name, one in items.items()},
        "date": date.fromisoformat,
        "datetime": datetime.fromisoformat,
    }
    return made[kind](content)


def _kind(name: str) -> type:
    """Return the class of a part of a model: a data class of this package, and nothing else."""
    module, _, kind = name.partition(":")
    if not re.fullmatch(rf"{_PACKAGE}(\.[a-z]\w*)+", module) or not kind[:1].isupper():
        raise ValueError(f"it holds a {name:.60}")
    found = getattr(importlib.import_module(module), kind)
    if not (isinstance(found, type) and dataclasses.is_dataclass(found) and found.__module__ == module):
        raise ValueError(f"it holds a {name:.60}")
    return found
