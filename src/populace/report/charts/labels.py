"""Labels that fit: wrapped, and where they are too long still, cut where they do not differ."""

import html
import itertools
import re
import textwrap
from collections.abc import Sequence

LINES = 3


def text(label: object) -> str:
    """Escape a label: Plotly interprets some HTML tags in text, including links."""
    return html.escape(str(label), quote=False)


def shorten(label: str, length: int) -> str:
    """Return a label that fits: its middle is left out, since labels often differ at their ends."""
    if len(label) <= length:
        return label
    head = (length - 1) // 2
    return f"{label[:head].rstrip()}…{label[head + 1 - length :].lstrip()}"


def distinct(labels: Sequence[str], length: int) -> list[str]:
    """Return labels that fit, and still differ where the full ones do.

    If any is too long, all lose the words that they begin with in common; what is still too long is shortened
    in its middle, or, where that makes two alike, numbered.
    """
    if all(len(label) <= length for label in labels):
        return list(labels)
    common = _common_words(labels)
    found = [shorten(f"…{label[common:]}" if common else label, length) for label in labels]
    if len(set(found)) < len(set(labels)):
        found = [f"{shorten(label, length - 4)} #{i}" for i, label in enumerate(found, start=1)]
    return found


def wrapped(labels: Sequence[str], width: int, *, lines: int = LINES) -> list[str]:
    """Return labels as Plotly's text, in about so many lines of a width in characters."""
    return ["<br>".join(map(text, found)) for found in _lines(labels, width, lines)]


def height(labels: Sequence[str], width: int) -> int:
    """Return how many lines the longest of the wrapped labels has."""
    return max(map(len, _lines(labels, width)), default=1)


def _lines(labels: Sequence[str], width: int, lines: int = LINES) -> list[list[str]]:
    # A line breaks at words and loses up to half of its width by it.
    fitting = [label.replace(" · ", "\u00a0· ") for label in distinct(labels, width * lines * 3 // 4)]
    return [textwrap.wrap(label, width) or [""] for label in fitting]


def _common_words(labels: Sequence[str]) -> int:
    """Return the number of characters of the words that all labels begin with."""
    if len(set(labels)) < 2:
        return 0
    words = zip(*(re.findall(r"[^\s,·/]*[\s,·/]+", label) for label in labels))
    return sum(len(same[0]) for same in itertools.takewhile(lambda word: len(set(word)) == 1, words))
