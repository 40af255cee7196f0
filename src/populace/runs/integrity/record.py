"""Record of trust: that the code which a run's recipe names was trusted, by this person, in this recipe.

`trust.json` holds the modules, the SHA-256 of `recipe.toml` as it is and was before, and a seal of both: an
HMAC with a key that lies in the cache folder and leaves the machine with no run. So a changed recipe is asked
about again, and a folder that somebody else packed cannot bring its own trust along.
"""

import contextlib
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from populace.core import files
from populace.core.files import cache_dir, write
from populace.engine.hosts import is_writer
from populace.runs.integrity import sealed

FILE = "trust.json"
_KEY = "trust.key"
_KEY_BYTES = 32
_KEPT = 3  # recipes that were trusted before


def keep(folder: Path, recipe: str, modules: Iterable[str]) -> None:
    """Note that the modules which a recipe names are trusted; without any, or without a key, nothing.

    What was trusted before stays so, for the recipe is written after this: a kill may come between.

    Raises:
        OSError: the folder cannot be written.

    """
    names = sorted(modules)
    if not names or not is_writer() or (key := _key(make=True)) is None:
        return
    before = [known for known in _trusted(folder) if known != _digest(recipe)]
    note = {"modules": names, "recipe_sha256": [*before[-_KEPT:], _digest(recipe)]}
    write(folder / FILE, sealed.seal(json.dumps(note | {"seal": _seal(note, key)}, indent=1)))


def is_trusted(folder: Path, recipe: str) -> bool:
    """Return whether the record of a folder is of this recipe, and was made here."""
    return _digest(recipe) in _trusted(folder)


def _trusted(folder: Path) -> list[str]:
    """Return the digests of the recipes that were trusted in this folder, by this person."""
    try:
        note = sealed.opened(files.read(folder / FILE))
        seal, key = note.pop("seal"), _key(make=False)
        is_own = key is not None and hmac.compare_digest(seal, _seal(note, key))
        return list(note["recipe_sha256"]) if is_own else []
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return []


def _digest(recipe: str) -> str:
    return hashlib.sha256(recipe.encode()).hexdigest()


def _seal(note: Mapping[str, object], key: bytes) -> str:
    return hmac.new(key, json.dumps(note, sort_keys=True).encode(), "sha256").hexdigest()


def _key(*, make: bool) -> bytes | None:
    """Return this person's key, made where there is none; None where it cannot be read or made."""
    file = cache_dir() / _KEY
    with contextlib.suppress(OSError):
        if make and not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):  # another process was quicker
                descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as opened:
                    opened.write(secrets.token_bytes(_KEY_BYTES))
        found = file.read_bytes()
        return found if len(found) == _KEY_BYTES else None
    return None
