"""The folder of a run: made where it is safe to, and told by the number of its format."""

import json
import os
import shutil
import time
from pathlib import Path

from populace.core.errors import Advice, RunError, UsageError
from populace.core.files import write

FORMAT = 2
"""Number of what a run folder holds and what its files call things; a folder of another is refused."""


def prepare(out: str | Path | None, name: str, overwrite: bool) -> Path:
    """Make the folder of a new run and prove that it can be written.

    Raises:
        UsageError: it exists and is not empty, or is a file, or is not a run and would be replaced.
        RunError: it cannot be written.

    """
    folder = Path(out) if out is not None else Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    if folder.is_file():
        advice = Advice("choose another with out=...", "choose another with --out")
        raise UsageError(f"output folder '{folder}' is a file", advice)
    try:
        if folder.exists() and any(folder.iterdir()):
            if not overwrite:
                resume, command = resuming(folder).python, resuming(folder).command_line
                raise UsageError(
                    f"output folder '{folder}' exists",
                    Advice(
                        f"{resume} goes on with it, overwrite=True replaces it, out=... chooses another",
                        f"{command} goes on with it, --overwrite replaces it, --out chooses another",
                    ),
                )
            _clear(folder)
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise RunError(f"cannot write to output folder '{folder}': {error.strerror}") from None
    return folder


def resuming(folder: Path, before: str = "") -> Advice:
    """Return how a run is gone on with, in Python and on the command line; `before` begins the advice."""
    return Advice(f"{before}Run.load({str(folder)!r}).resume()", f"{before}`populace resume {folder}`")


def check_format(folder: Path) -> None:
    """Raise a `UsageError` if another version of populace wrote the folder; a damaged note says nothing."""
    try:
        note = json.loads((folder / "environment.json").read_text())
        found = note.get("format", 1)
    except (OSError, ValueError, AttributeError):
        return
    if found != FORMAT:
        raise UsageError(
            f"'{folder}' has format {found}, this version of populace reads {FORMAT}; open it with the "
            "version that wrote it, or train it again"
        )


def _clear(folder: Path) -> None:
    """Empty a folder that holds a run, and nothing else: a mistyped path must cost nothing."""
    ours = {
        "recipe.toml", "environment.json", "metrics", "checkpoints", "tensorboard", "results.json",
        "report.html", "media", "data.json", "start.safetensors", "confirmation",
    }  # fmt: skip
    left = (*(f".{name}." for name in ours), ".probe-")  # what a kill left half-written
    strangers = sorted(p.name for p in folder.iterdir() if p.name not in ours and not p.name.startswith(left))
    if strangers:
        raise UsageError(f"'{folder}' holds '{strangers[0]}', which no run made; empty it yourself")
    if not (folder / "recipe.toml").is_file():
        raise UsageError(f"'{folder}' is not a run folder: it has no recipe.toml; empty it yourself")
    shutil.rmtree(folder)


def without_end(folder: Path, recipe: str) -> None:
    """Write a recipe that asks for more steps, and remove what described the old end."""
    try:
        write(folder / "recipe.toml", recipe)
        for name in ("results.json", "report.html"):
            (folder / name).unlink(missing_ok=True)
        for name in ("media", "confirmation"):
            shutil.rmtree(folder / name, ignore_errors=True)
    except OSError as error:
        raise RunError(f"cannot write to '{folder}': {error.strerror or error}") from None
