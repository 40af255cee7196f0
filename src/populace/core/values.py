"""Validation of the plain values of settings, and names of their types and ranges."""

import math
import types
import typing
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from populace.core.errors import UsageError, article
from populace.core.untrusted.shown import shown


@dataclass(frozen=True)
class Meaning:
    """Meaning and allowed values of a setting; all bounds are optional."""

    help: str
    low: float | None = None
    high: float | None = None
    above: float | None = None
    choices: tuple[Any, ...] | None = None
    advice: str = ""

    def range(self) -> str:
        """Return the range as text, such as `[0, 1]` or `> 0`; empty if there is none."""
        if self.choices is not None:
            return " | ".join(map(str, self.choices))
        if self.high is not None:
            if self.above is not None:
                return f"({self.above:g}, {self.high:g}]"
            return f"[{self.low:g}, {self.high:g}]" if self.low is not None else f"<= {self.high:g}"
        if self.above is not None:
            return f"> {self.above:g}"
        return f">= {self.low:g}" if self.low is not None else ""


# What programs count and compute with: int32, and float32, in which a number beyond these would be infinite.
_BEYOND_INT, _BEYOND_FLOAT = 2**31, 2.0**128 - 2.0**103


def checked(value: Any, hint: Any, meaning: Meaning, path: str) -> Any:
    """Return the validated value of a setting: NumPy numbers as Python numbers, lists as tuples.

    Raises:
        UsageError: a value of the wrong type or outside its range.

    """
    value = plain(value)
    try:
        frozen = tuple(value) if isinstance(value, list) else value
        value = _adapter(hint).validate_python(frozen, strict=True)
    except ValidationError:
        advice = f"; {meaning.advice}" if meaning.advice else ""
        raise UsageError(f"{path} must be {_wanted(hint)}, got {shown(value)}{advice}") from None
    _check_range(meaning, value, path)
    return value


def plain(value: Any) -> Any:
    """Convert NumPy numbers, alone or in lists, to Python numbers; return anything else unchanged."""
    if isinstance(value, np.generic):
        return value.item()
    return type(value)(plain(v) for v in value) if type(value) in (list, tuple) else value


def listed(value: Any) -> Any:
    """Convert an array to a list of Python numbers; convert anything else by `plain`."""
    return value.tolist() if is_array(value) else plain(value)


def is_array(value: Any) -> bool:
    """Return whether a value is an array, such as a leaf of a population, instead of a NumPy number."""
    return hasattr(value, "shape") and not isinstance(value, np.generic)


def to_float32(values: np.ndarray) -> np.ndarray:
    """Return an array in float32, infinite where that cannot hold a value: who takes files looks for it."""
    with np.errstate(over="ignore"):  # NumPy would warn on the terminal of something that is told anyway
        return values.astype(np.float32)


def type_name(hint: Any) -> str:
    """Return the name of a type hint, such as `float`, `list of int` or `int or none`."""
    if typing.get_origin(hint) is tuple:
        return f"list of {type_name(typing.get_args(hint)[0])}"
    if isinstance(hint, types.UnionType):
        return " or ".join("none" if a is type(None) else type_name(a) for a in typing.get_args(hint))
    return getattr(hint, "__name__", str(hint))


def _check_range(meaning: Meaning, value: Any, path: str) -> None:
    if meaning.choices is not None and value not in meaning.choices:
        raise UsageError(f"{path} must be one of {meaning.range()}, got {shown(value)}")
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, bool) or not isinstance(number, int | float):
            continue
        inside = (
            math.isfinite(number)
            and (meaning.low is None or number >= meaning.low)
            and (meaning.high is None or number <= meaning.high)
            and (meaning.above is None or number > meaning.above)
        )
        if not inside:
            expected = f"in {r}" if (r := meaning.range())[:1] in "[(" and r else r or "finite"
            raise UsageError(f"{path} must be {expected}, got {shown(number)}")
        if abs(number) >= (_BEYOND_INT if isinstance(number, int) else _BEYOND_FLOAT):
            largest = "3.4e38, the largest number of float32"
            size = f"{_BEYOND_INT - 1:,}" if isinstance(number, int) else largest
            raise UsageError(f"{path} must be at most {size} in size, got {shown(number)}")


@cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint)


def _wanted(hint: Any) -> str:
    """Return a type in words, with how a value of it is written where that is not plain."""
    written = " (true or false)" if hint is bool else ""
    if typing.get_origin(hint) is tuple:
        written = ", written [a, b, ...]"
    return article(type_name(hint)) + written
