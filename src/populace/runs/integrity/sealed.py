"""Sealed JSON: a file that ends with the SHA-256 of what it says before, so that damage is noticed.

Any reader of JSON reads it; the checksum is its last entry. It keeps nobody from changing a file on purpose:
whoever writes it can seal it again.
"""

import hashlib
import json
import math
import re
from typing import Any

_END = "\n}"
_DIGITS = 20  # of a whole number of 64 bits, with its sign
_SEAL = re.compile(r',\n "sha256": "([0-9a-f]{64})"\n}$')


def seal(text: str) -> str:
    """Return the text of a JSON object, indented by 1, with its checksum as last entry."""
    return f'{text.removesuffix(_END)},\n "sha256": "{_digest(text)}"{_END}'


def opened(text: str) -> dict[str, Any]:
    """Return what a sealed file says, without its checksum.

    Raises:
        ValueError: it is not what was sealed.

    """
    found = _SEAL.search(text)
    body = text[: found.start()] + _END if found else ""
    if found is None or _digest(body) != found[1]:
        raise ValueError("it was changed or damaged: its checksum does not match")
    return loads(body)


def loads(text: str) -> Any:
    """Return what a text of JSON says, within bounds: numbers that no file of a run holds are infinite.

    Raises:
        ValueError: it is no JSON, or is nested too deeply.

    """
    try:
        return json.loads(text, parse_int=_whole)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) < _DIGITS else math.inf


def digest(value: Any) -> str:
    """Return the SHA-256 of a value that JSON can hold."""
    return _digest(json.dumps(value, sort_keys=True))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
