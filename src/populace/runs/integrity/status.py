"""Status: how far a run is, and who trains it, by looking at its folder and running nothing."""

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from populace.core import files
from populace.core.errors import UsageError
from populace.core.untrusted import toml
from populace.runs.integrity import checkpoint_files, lock
from populace.runs.integrity.schemas import json_files


@dataclass(frozen=True)
class Status:
    """What a run folder says of itself.

    Attributes:
        path: the folder.
        state: `running`, `finished`, `stopped` (it was told to), `interrupted` (it was killed, or failed), or
            `damaged` (its recipe cannot be read, or asks for less than was trained).
        step: iterations that its newest checkpoint, or its end, has completed.
        steps: iterations that it was asked for.
        owner: who trains it, where it is running.

    """

    path: Path
    state: str
    step: int
    steps: int
    owner: str = ""


def status(folder: Path) -> Status:
    """Return the status of a run."""
    step = max(checkpoint_files.steps(folder / "checkpoints"), default=0)
    try:
        steps = int(toml.loads(files.read(folder / "recipe.toml"), "")["run"]["steps"])
    except (OSError, ValueError, LookupError, TypeError):
        return Status(folder, "damaged", step, 0)
    if step > steps:
        return Status(folder, "damaged", step, steps)
    if who := lock.owner(folder):
        return Status(folder, "running", step, steps, str(who))
    found = _results(folder)
    if found.get("status") in ("finished", "stopped") and found.get("steps_total") == steps:
        return Status(folder, str(found["status"]), int(found.get("steps", step)), steps)
    return Status(folder, "interrupted", step, steps)


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        status: its state and steps, as `populace list runs` has them.
        seconds: that it has taken until its newest checkpoint; None before the first.
        checkpoint_at: when that was, in seconds since 1970; None before the first.
        confirmation: the same of its confirmation on new seeds, if that is under way.

    """

    status: Status
    seconds: float | None = None
    checkpoint_at: float | None = None
    confirmation: "Progress | None" = None

    @property
    def remaining(self) -> float | None:
        """Seconds that the steps which are left will take, if they go on as those before; None if unknown."""
        if self.status.state != "running" or not self.status.step or self.seconds is None:
            return None
        since = max(0.0, time.time() - (self.checkpoint_at or 0.0))
        left = self.seconds / self.status.step * (self.status.steps - self.status.step)
        return max(0.0, left - since)


def progress(folder: Path) -> Progress:
    """Return how far a run is, by looking at its folder."""
    now = status(folder)
    newest, seconds, at = folder / "checkpoints" / str(now.step), None, None
    try:
        seconds = float(checkpoint_files.read_info(newest).get("wall_s", 0.0))
        at = os.stat(newest).st_mtime
    except (ValueError, OSError):
        pass
    inside, confirmation = folder / "confirmation", None
    if now.state == "running" and now.step >= now.steps and (inside / "recipe.toml").is_file():
        confirmation = progress(inside)
        confirmation = replace(confirmation, status=replace(confirmation.status, state="running"))
    return Progress(now, seconds, at, confirmation)


def runs(folder: Path) -> list[Status]:
    """Return the status of every run directly below a folder, the one begun last at first.

    Raises:
        UsageError: there is no such folder.

    """
    if not folder.is_dir():
        raise UsageError(f"no folder '{folder}'; give the one that holds the runs, --in DIR")
    found = [p for p in folder.iterdir() if (p / "recipe.toml").is_file()]
    return [status(p) for p in sorted(found, key=_began, reverse=True)]


def _began(folder: Path) -> float:
    head = folder / "environment.json"
    return (head if head.exists() else folder / "recipe.toml").stat().st_mtime


def _results(folder: Path) -> dict[str, Any]:
    try:
        return json_files.read(folder / "results.json", sealed=True)
    except (OSError, ValueError):
        return {}
