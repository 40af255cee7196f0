"""Files written whole: a crash or a full disk leaves the old file, or none; JSON; and the cache folder."""

import contextlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def write(path: Path, content: str | bytes) -> None:
    """Write a file whole: under a temporary name, flushed to the disk, then renamed."""
    with whole(path) as aside:
        aside.write_bytes(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; what was written there becomes `path`, or is removed on an error.

    The data are on the disk before the name is, and the name is when this returns: a power cut leaves the old
    file or the new one, never a part of it.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield aside
        _to_disk(aside)
        aside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise
    _to_disk(path.parent)


def _to_disk(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return  # Windows opens no folders, and has nothing to flush there
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def to_json(value: Any, **how: Any) -> str:
    """Return a value as JSON, which has no NaN and no infinity: such a number from anywhere becomes null."""
    return json.dumps(_finite(value), indent=1, allow_nan=False, **how)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(v) for key, v in value.items()}
    return [_finite(v) for v in value] if isinstance(value, list | tuple) else value


def cache_dir() -> Path:
    """Return the cache folder, which is safe to delete: `$POPULACE_CACHE`, else one in the user's cache."""
    if explicit := os.environ.get("POPULACE_CACHE"):
        return Path(explicit)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "populace"
