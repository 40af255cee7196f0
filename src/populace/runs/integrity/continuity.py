"""Continuity: whether what lies beside a checkpoint is still what it was trained with.

A checkpoint notes what its training depended on: the recipe, the digest of the data, and the metric tables up
to it. With a recipe that was changed since, the run would go on as a mix of two.
"""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from populace.core import files
from populace.core.errors import RunError, UsageError
from populace.core.untrusted import toml
from populace.runs import fingerprint
from populace.runs.folder import again
from populace.runs.integrity import manifest, sealed
from populace.runs.recipe.options import options

_FREE = {
    "name", "about", "run.steps", "run.strategy", "run.devices", "run.checkpoint_every",
    "run.checkpoints_kept", "run.final_evaluation_size", "run.confirm",
}  # fmt: skip
"""What may change between two sittings: it is nothing that is trained, or the sittings tell of it."""
_LONG = 80  # characters; of more, a checkpoint keeps the digest
_DIGEST = "sha256:"
_SHOWN = 3


def note(folder: Path) -> dict[str, Any]:
    """Return what the training of a run depends on besides its state, as its checkpoints keep it."""
    return {"recipe": _recipe(folder), "data": fingerprint.noted(folder)}


def check(folder: Path, info: Mapping[str, Any]) -> None:
    """Check that a checkpoint and what lies beside it belong together.

    Args:
        folder: of the run.
        info: what the checkpoint says of itself.

    Raises:
        UsageError: the recipe was changed.
        RunError: the data's digest or the tables are not those of the checkpoint.

    """
    step, now = info["step"], note(folder)
    if changed := list(_differences(info["recipe"], now["recipe"])):
        more = f"; and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        command = f"`populace run {folder / 'recipe.toml'} --out NEW`"
        raise UsageError(
            f"'{folder / 'recipe.toml'}' was changed after checkpoint {step}: "
            f"{'; '.join(changed[:_SHOWN])}{more}; put it back, or train the changed one anew: {command}"
        )
    steps = options(_tables(folder)["run"]).steps
    if steps < step:
        raise UsageError(
            f"'{folder / 'recipe.toml'}' asks for {steps:,} steps, and {step:,} have been trained; "
            f"put it back to at least {step:,}"
        )
    if info["data"] != now["data"]:
        raise RunError(
            f"'{folder / fingerprint.FILE}' is not what checkpoint {step} was trained with", again(folder)
        )
    tables = folder / "metrics"
    parts = [part for part in manifest.read(tables) or [] if part.last <= step]
    if manifest.digest(parts) != info["metrics"]:
        raise RunError(f"'{tables}' is not what checkpoint {step} was written with", again(folder))


def _recipe(folder: Path) -> dict[str, str]:
    """Return every entry of a run's recipe that training depends on, by its path."""
    tables = _tables(folder)
    chosen = options(tables["run"])
    windows = {"log_every": chosen.window(_members(tables)), "evaluate_every": chosen.evaluation_window}
    tables["run"] = chosen.model_dump(exclude_none=True) | windows
    return {path: _short(value) for path, value in fingerprint.flat(tables) if path not in _FREE}


def _tables(folder: Path) -> dict[str, Any]:
    """Return the recipe in a run folder as it stands there, each of its tables a table."""
    file = folder / "recipe.toml"
    tables = toml.loads(files.read(file), f"'{file}'")
    tables.setdefault("run", {})
    if wrong := [name for name in ("run", "sweep") if not isinstance(tables.get(name, {}), dict)]:
        raise UsageError(f"'{file}': {wrong[0]} must be a table, [{wrong[0]}]")
    return tables


def _members(tables: Mapping[str, Any]) -> int:
    """Return how many members the recipe in a run folder has, by its text alone."""
    seeds, settings = options(tables["run"]).seeds, tables.get("settings")
    axes = [len(values) for values in tables.get("sweep", {}).values() if isinstance(values, list)]
    many = len(settings) if isinstance(settings, list) and settings else math.prod(axes)
    return many * (seeds if isinstance(seeds, int) else len(seeds))


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return text if len(text) <= _LONG else f"{_DIGEST}{sealed.digest(text)}"


def _differences(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for path in sorted({*then, *now}):
        had, has = then.get(path), now.get(path)
        if had != has:
            named = not any(text is None or text.startswith(_DIGEST) for text in (had, has))
            yield f"{path} is {has}, not {had}" if named else f"{path} differs"
