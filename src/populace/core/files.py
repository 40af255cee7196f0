"""Files: each written whole or not at all, and the folder for what can be made again."""

import os
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Write a file that is whole or absent: aside first, then renamed."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


def cache_dir() -> Path:
    """Return the folder for what may be thrown away: `$POPULACE_CACHE`, else the user's cache."""
    if explicit := os.environ.get("POPULACE_CACHE"):
        return Path(explicit)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "populace"
