"""Atomic file writes, JSON, and the cache folder."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write(path: Path, text: str) -> None:
    """Write a file atomically: under a temporary name, which is then renamed."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


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
