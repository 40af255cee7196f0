"""TOML that somebody else may have written, read within bounds.

The time of the standard library's parser is quadratic in the parts of a dotted key, deep nesting ends in a
`RecursionError` there or later, and numbers may have any size, where TOML promises 64 bits.
"""

import re
import tomllib
from typing import Any

from populace.core.errors import UsageError

_DEPTH = 32
_PARTS = 64
_LONG_KEY = re.compile(  # at the begin of a line, or in a table
    r"(?m)(?:^|[\[{,])[ \t]*+(?:(?>[\w-]+|\"[^\"\n]*\"|'[^'\n]*')[ \t]*+\.[ \t]*+){64}"  # _PARTS
)


def loads(text: str, source: str) -> dict[str, Any]:
    """Return the tables of a text.

    Args:
        text: TOML.
        source: what it is or where it is from, for messages.

    Raises:
        UsageError: it is not TOML, is nested too deeply, or holds a whole number of more than 64 bits.

    """
    if _LONG_KEY.search(text):
        raise UsageError(f"{source} has a key of more than {_PARTS} parts, which are not read")
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{source} is not TOML: {error}") from None
    except RecursionError:
        raise UsageError(f"{source} is nested too deeply; {_DEPTH} levels are read") from None
    except ValueError:  # Python reads 4,300 digits
        raise UsageError(f"{source} holds a whole number of more than 64 bits") from None
    _check(tables, source)
    return tables


def _check(tables: dict[str, Any], source: str) -> None:
    waiting: list[tuple[Any, int]] = [(tables, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > _DEPTH:
            raise UsageError(f"{source} is nested too deeply; {_DEPTH} levels are read")
        if isinstance(value, dict | list):
            inside = value.values() if isinstance(value, dict) else value
            waiting += [(one, depth + 1) for one in inside]
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise UsageError(f"{source} holds a whole number of more than 64 bits")
