"""Words of somebody else's in a line for a person: escaped, so that they do nothing, and shortened.

A name may hold the escape sequences that move a terminal's cursor or set its title, the marks that turn the
direction of writing, or ten megabytes.
"""

import reprlib
from typing import Any

_LINE = 2_000  # characters of a message; advice stands at its end
_NAME = 100


def escaped(text: str) -> str:
    r"""Return a text in which everything that does not print stands as Python writes it, such as `\x1b`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def shortened(text: str, most: int = _NAME) -> str:
    """Return a text of at most so many characters: of a longer one the beginning, the length, and the end."""
    if len(text) <= most:
        return text
    cut = f"... ({len(text):,} characters) ..."
    end = max(most - len(cut), 0) // 3
    return text[: max(most - len(cut), 0) - end] + cut + text[len(text) - end :]


def line(text: str) -> str:
    """Return a message as one line: escaped, and no longer than a person reads."""
    return shortened(escaped(shortened(text, _LINE)), _LINE)


def shown(value: Any) -> str:
    """Return `repr` of a value, shortened; also of an integer with more digits than Python writes."""
    return _REPR.repr(value)


class _Repr(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = 20
        self.maxstring = self.maxother = 200

    def repr_int(self, x: int, level: int) -> str:
        """Return the digits, or how many bits a number has that nobody reads."""
        return repr(x) if x.bit_length() <= 512 else f"an integer of {x.bit_length():,} bits"


_REPR = _Repr()
