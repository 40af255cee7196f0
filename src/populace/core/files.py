"""Atomic file writes, and the cache folder."""

import os
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Write a file atomically: under a temporary name, which is then renamed."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


def cache_dir() -> Path:
    """Return the cache folder, which is safe to delete: `$POPULACE_CACHE`, else one in the user's cache."""
    if explicit := os.environ.get("POPULACE_CACHE"):
        return Path(explicit)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "populace"
