"""Texts by name: given names, Shakespeare, recipes; `docs/text.md` says where they are from."""

import gzip
import json
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

from populace.core.errors import RunError
from populace.data.download import VARIABLE, Remote, damaged, fetch, find, places
from populace.text.data.read import read_text

_LARGEST = 2**27
_GITHUB = "https://raw.githubusercontent.com"
_NAMES = Remote(
    "names.txt", (f"{_GITHUB}/karpathy/makemore/master/names.txt",),
    "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d", 228_145,
)  # fmt: skip
_SHAKESPEARE = Remote(
    "input.txt", (f"{_GITHUB}/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",),
    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed", 1_115_394,
)  # fmt: skip
_RECIPES = "epicurious.jsonl.gz"


@cache
def names() -> tuple[str, ...]:
    """Return 32,033 given names, lower case a to z (A. Karpathy, makemore; MIT)."""
    (path,) = fetch("names", [_NAMES])
    return tuple(read_text(path).split())


@cache
def tinyshakespeare() -> tuple[str, ...]:
    """Return one document, 1,115,394 characters of Shakespeare's plays (A. Karpathy, char-rnn; MIT)."""
    (path,) = fetch("tinyshakespeare", [_SHAKESPEARE])
    return (read_text(path),)


@cache
def recipes() -> tuple[str, ...]:
    """Return some 18,700 recipes as `Recipe for TITLE | DIRECTIONS`, from `epicurious.jsonl.gz`.

    The file has an object a line with `title`, a text, and `directions`, a list of texts; rows that lack one
    are left out. Nobody offers it for download; it is looked for in the folders of docs/data.md.

    Raises:
        RunError: it is not there, or damaged.

    """
    path = find("recipes", _RECIPES)
    if path is None:
        looked = ", ".join(map(str, places("recipes")))
        raise RunError(f"recipes: no {_RECIPES} in {looked}; set {VARIABLE} to a folder that has it")
    return tuple(_recipes(path))


def _recipes(path: Path) -> list[str]:
    try:
        with gzip.open(path) as file:
            raw = file.read(_LARGEST)
        rows = [json.loads(line) for line in raw.decode().split("\n") if line]
        return [
            f"Recipe for {row['title'].strip()} | {' '.join(row['directions'])}"
            for row in rows
            if row.get("title") and row.get("directions")
        ]
    except (OSError, EOFError, zlib.error, ValueError, TypeError, AttributeError) as error:
        raise damaged(path, f"is no gzipped JSON Lines of recipes ({type(error).__name__})") from None


DATASETS: dict[str, Callable[[], tuple[str, ...]]] = {
    "names": names,
    "tinyshakespeare": tinyshakespeare,
    "recipes": recipes,
}
