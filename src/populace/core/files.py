"""Files written whole: a crash or a full disk leaves the old file, or none; JSON; and the cache folder."""

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from populace.core.errors import UsageError
from populace.core.untrusted.shown import escaped, shortened

_LONGEST = 150  # bytes of a name: a date, or what it is a part of, may be added
_FORBIDDEN = frozenset('/\\:*?"<>|')
_TOGETHER = 1000  # entries of a long list that are written at a time
_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{i}" for port in ("COM", "LPT") for i in range(10))}


def write(path: Path, content: str | bytes | Iterable[str]) -> None:
    """Write a file whole: under a temporary name, flushed to the disk, then renamed.

    Args:
        path: the file.
        content: text, bytes, or pieces of text, of which one is in memory at a time.

    """
    pieces = (content,) if isinstance(content, str | bytes) else content
    with whole(path) as aside, aside.open("wb") as file:
        for piece in pieces:
            file.write(piece.encode() if isinstance(piece, str) else piece)


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; the file or folder made there becomes it, or goes on an error.

    The data are on the disk before the name is, and the name is when this returns: a power cut leaves the old
    file or the new one, never a part of it. The temporary name ends as that of `path` does, for writers that
    tell the format by it. A folder replaces none.
    """
    aside = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield aside
        to_disk(aside)
        aside.replace(path)
    except BaseException:
        remove(aside)
        raise
    _to_disk(path.parent)


def to_disk(path: Path) -> None:
    """Wait until a file, or a folder with all that is in it, is on the disk."""
    for folder, _, names in os.walk(path):
        for name in names:
            _to_disk(Path(folder, name))
        _to_disk(Path(folder))
    if not path.is_dir():
        _to_disk(path)


def sweep(folder: Path) -> None:
    """Remove what `whole` had under way in a folder when it was killed; nobody else may write there."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if origin(path) != path.name:
            remove(path)


def origin(path: Path) -> str:
    """Return the name of a file or folder, or the one that it was to get from `whole`."""
    return re.sub(r"^\.\d+\.", "", path.name)


def remove(path: Path) -> None:
    """Remove a file or folder as far as it goes, without a word: what is left is swept another time."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def read(path: Path) -> str:
    """Return the text of a file.

    Raises:
        OSError: there is none, or it is a device or a pipe, which may never end.

    """
    _check_regular(path)
    return path.read_text("utf-8")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content; what is no regular file is an `OSError`."""
    _check_regular(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_regular(path: Path) -> None:
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))


def _to_disk(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return  # Windows opens no folders, and has nothing to flush there
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def component(name: str, what: str) -> str:
    """Return a name that may be that of a file or folder on any system: one safe component of a path.

    Args:
        name: the name.
        what: what is named, for the message: `the name of a run`.

    Raises:
        UsageError: it is empty or too long, leads elsewhere, or holds what a file's name cannot.

    """
    if not name:
        wrong = "is empty"
    elif len(name.encode(errors="replace")) > _LONGEST:
        wrong = f"has more than {_LONGEST} bytes"
    elif not name.isprintable() or not _FORBIDDEN.isdisjoint(name):
        wrong = f"holds one of {' '.join(sorted(_FORBIDDEN))}, or a character that does not print"
    elif name[0] in ". -" or name[-1] in ". ":
        wrong = "begins or ends with a dot, a space or a dash"
    elif name.partition(".")[0].rstrip().upper() in _DEVICES:
        wrong = "is a device of Windows"
    else:
        return name
    told = shortened(escaped(shortened(name)))
    raise UsageError(f"{what} must be one that a single file or folder can have; '{told}' {wrong}")


def to_json(value: Any, **how: Any) -> str:
    """Return a value as JSON, which has no NaN and no infinity: such a number from anywhere becomes null."""
    how = {"indent": 1, "default": list} | how  # sequences of any kind are lists
    try:
        return json.dumps(value, allow_nan=False, **how)
    except ValueError:  # seldom, and a copy of everything takes longer than the rest
        return json.dumps(_finite(value), allow_nan=False, **how)


def to_lines(value: Mapping[str, Any]) -> Iterator[str]:
    """Yield an object as `to_json` returns it, but with each of its entries in one line, piece by piece."""
    for number, (key, entry) in enumerate(value.items()):
        yield ("{\n " if number == 0 else ",\n ") + json.dumps(key) + ": "
        if _is_list(entry) and len(entry) > _TOGETHER:
            for at in range(0, len(entry), _TOGETHER):
                yield ("[" if at == 0 else ", ") + to_json(entry[at : at + _TOGETHER], indent=None)[1:-1]
            yield "]"
        else:
            yield to_json(entry, indent=None)
    yield "\n}" if value else "{}"


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(v) for key, v in value.items()}
    return [_finite(v) for v in value] if _is_list(value) else value


def cache_dir() -> Path:
    """Return the cache folder, which is safe to delete: `$POPULACE_CACHE`, else one in the user's cache."""
    if explicit := os.environ.get("POPULACE_CACHE"):
        return Path(explicit)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "populace"
