"""Sittings: where, by what and from which step to which a run was trained, one entry per start or resume.

Resuming is exact on the same machine with the same versions, strategy and devices. On others it goes on, is
told so, and the record says which steps were trained by what.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from populace.core.errors import RunError
from populace.core.files import write
from populace.engine.training_loop import Engine
from populace.runs import provenance
from populace.runs.integrity import sealed
from populace.runs.integrity.schemas import json_files

FILE = "sittings.json"
_COMPARED = ("populace", "python", "platform", "cpu", "backend", "devices", "strategy")


def read(folder: Path) -> list[dict[str, Any]]:
    """Return the sittings of a run, oldest first.

    Raises:
        RunError: the record cannot be read, or was changed.

    """
    try:
        return list(json_files.read(folder / FILE, sealed=True)["sittings"])
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise RunError(
            f"'{folder / FILE}' cannot be trusted: {error}; remove it to go on without the record"
        ) from None


def begin(folder: Path, engine: Engine) -> str:
    """Record that a sitting begins; return in what it differs from the one before, or an empty text."""
    before = read(folder) if engine.step else []
    used = {d for c in engine.group_states for d in c.program.placement.devices}
    entry = provenance.describe() | {
        "strategy": sorted({c.choice.strategy for c in engine.group_states}),
        "devices": sorted(f"{d.platform}:{d.id} {d.device_kind}" for d in used),
        "first_step": engine.step,
        "last_step": None,  # of one that was killed; the next one began from its last checkpoint
    }
    _keep(folder, [*before, entry])
    return "; ".join(_differences(before[-1], entry)) if before else ""


def end(folder: Path, step: int) -> None:
    """Record the step at which the sitting under way ended."""
    *before, last = read(folder)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    _keep(folder, [*before, last | {"last_step": step, "ended": now}])


def _keep(folder: Path, entries: list[dict[str, Any]]) -> None:
    write(folder / FILE, sealed.seal(json.dumps({"sittings": entries}, indent=1)))


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    pairs = [(key, before.get(key), now[key]) for key in _COMPARED]
    packages = before.get("packages") or {}
    pairs += [(name, packages.get(name), version) for name, version in now["packages"].items()]
    for name, was, here in pairs:
        if was != here:
            yield f"{name} {_text(here)}, before {_text(was)}"


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
