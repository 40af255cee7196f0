"""Sealed JSON: a file that ends with the SHA-256 of what it says before, so that damage is noticed.

Any reader of JSON reads it; the checksum is its last entry. It keeps nobody from changing a file on purpose:
whoever writes it can seal it again.
"""

import hashlib
import json
import re
from typing import Any

_END = "\n}"
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
    return json.loads(body)


def digest(value: Any) -> str:
    """Return the SHA-256 of a value that JSON can hold."""
    return _digest(json.dumps(value, sort_keys=True))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
