"""Sealed JSON: a file that ends with the SHA-256 of what it says before, so that damage is noticed.

Any reader of JSON reads it; the checksum is its last entry. It keeps nobody from changing a file on purpose:
whoever writes it can seal it again.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

_END = "\n}"
_SLICE = 2**20  # characters that are encoded at a time
_DIGITS = 20  # of a whole number of 64 bits, with its sign
_SEAL = re.compile(r',\n "sha256": "([0-9a-f]{64})"\n}$')
_LENGTH = 100  # characters of the end, in which it stands


def seal(text: str) -> str:
    """Return the text of a JSON object, indented by 1, with its checksum as last entry."""
    return "".join(sealing([text]))


def sealing(pieces: Iterable[str]) -> Iterator[str]:
    """Yield the text of a JSON object that comes in pieces, with its checksum as last entry."""
    digest, held = hashlib.sha256(), ""
    for piece in pieces:
        yield held
        _add(digest, piece)
        held = piece
    yield f'{held.removesuffix(_END)},\n "sha256": "{digest.hexdigest()}"{_END}'


def opened(text: str) -> dict[str, Any]:
    """Return what a sealed file says, without its checksum.

    Raises:
        ValueError: it is not what was sealed.

    """
    before = max(0, len(text) - _LENGTH)
    found = _SEAL.search(text, before)
    digest = hashlib.sha256()
    if found is not None:
        _add(digest, text, found.start())
        _add(digest, _END)
    if found is None or digest.hexdigest() != found[1]:
        raise ValueError("it was changed or damaged: its checksum does not match")
    content = loads(text)
    del content["sha256"]
    return content


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
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _add(digest: Any, text: str, end: int | None = None) -> None:
    """Add a text, or its beginning, to a digest without a copy of the whole."""
    end = len(text) if end is None else end
    for at in range(0, end, _SLICE):
        digest.update(text[at : min(end, at + _SLICE)].encode())
