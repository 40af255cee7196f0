"""The folder of a run: made where it is safe to, and told by the number of its format."""

import contextlib
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from populace.core.errors import Advice, RunError, UsageError
from populace.core.files import origin, to_json, to_lines, write
from populace.core.untrusted.shown import shown
from populace.engine import hosts
from populace.runs.integrity import failures, learner_files, lock, record, sealed
from populace.runs.integrity.schemas import json_files

FORMAT = 3
"""Number of what a run folder holds and what its files call things; a folder of another is refused."""

_INDENTED = 1000
"""Members up to which `results.json` is indented: of many, that would take longer than their evaluation."""


def new_path(out: str | Path | None, name: str) -> Path:
    """Return the folder of a new run: the one that is asked for, or one named by the recipe and the time."""
    return Path(out) if out is not None else Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"


@contextlib.contextmanager
def new(out: str | Path | None, name: str, overwrite: bool) -> Iterator[Path]:
    """Make the folder of a new run and hold its lock; a run that ends before it has a recipe leaves nothing.

    Raises:
        UsageError: it exists and is not empty, or is a file, or is not a run and would be replaced.
        RunError: it cannot be written, or another process trains it.

    """
    folder = new_path(out, name)
    if not hosts.is_writer():  # of several processes that train one population, one makes the folder
        folder = Path(hosts.from_writer(None, "the run folder"))
        with lock.held(folder):
            yield folder
        return
    if folder.is_file():
        advice = Advice("choose another with out=...", "choose another with --out")
        raise UsageError(f"output folder '{folder}' is a file", advice)
    with _writable(folder):
        made, begun = not folder.exists(), (folder / lock.FILE).exists()
        if not made and lock.owner(folder) is None:
            _check_free(folder, overwrite)
        folder.mkdir(parents=True, exist_ok=True)
    hosts.from_writer(str(folder), "the run folder")  # its name may be the time of day
    try:
        with lock.held(folder):
            with _writable(folder):
                _check_free(folder, overwrite)  # somebody may have been quicker
                _clear(folder, begun)
            try:
                yield folder
            finally:
                if not (folder / "recipe.toml").is_file():
                    with contextlib.suppress(OSError, UsageError):
                        _clear(folder, True)
    finally:
        if made:
            with contextlib.suppress(OSError):
                folder.rmdir()  # it is empty, or stays


@contextlib.contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, MemoryError) as error:
        raise RunError(failures.reason(error, folder)) from None


def _check_free(folder: Path, overwrite: bool) -> None:
    if overwrite or not _content(folder):
        return
    resume, command = resuming(folder).python, resuming(folder).command_line
    raise UsageError(
        f"output folder '{folder}' exists",
        Advice(
            f"{resume} goes on with it, overwrite=True replaces it, out=... chooses another",
            f"{command} goes on with it, --overwrite replaces it, --out chooses another",
        ),
    )


def _content(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.name != lock.FILE)


def resuming(folder: Path, before: str = "") -> Advice:
    """Return how a run is gone on with, in Python and on the command line; `before` begins the advice."""
    return Advice(f"{before}Run.load({str(folder)!r}).resume()", f"{before}`populace resume {folder}`")


def again(folder: Path) -> Advice:
    """Return how a run whose files are no longer its own is trained again."""
    command = f"`populace run {folder / 'recipe.toml'} --out NEW` trains it again"
    return Advice(command, command)


def check_format(folder: Path) -> None:
    """Raise a `UsageError` if another version of populace wrote the folder; a damaged note says nothing."""
    try:
        found = json_files.read(folder / "environment.json").get("format", 1)
    except (OSError, ValueError):
        return
    if found != FORMAT:
        raise UsageError(
            f"'{folder}' has format {shown(found)}, this version of populace reads {FORMAT}; open it with "
            "the version that wrote it, or train it again"
        )


def keep_json(folder: Path, name: str, value: Mapping[str, Any]) -> None:
    """Write a JSON file of a run, sealed; of a large population with a line for each entry."""
    many = len(value.get("members", ())) > _INDENTED
    write(folder / name, sealed.sealing(to_lines(value) if many else [to_json(value)]))


def read_json(folder: Path, name: str, reason: str, advice: Advice | None = None) -> dict[str, Any]:
    """Return a sealed JSON file of a run; `reason` says why it may not be there.

    Raises:
        RunError: it is missing or damaged, or holds something else.

    """
    try:
        return json_files.read(folder / name, sealed=True)
    except FileNotFoundError:
        raise RunError(f"'{folder}' has no {name}: {reason}", advice) from None
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read '{folder / name}': {error}") from None


def _clear(folder: Path, begun: bool) -> None:
    """Empty a folder that holds a run, and nothing else: a mistyped path must cost nothing.

    Args:
        folder: of the run; its lock is held, and stays.
        begun: whether a run is known to have begun there: without a recipe, nothing else says so.

    """
    ours = {
        "recipe.toml", "environment.json", "metrics", "checkpoints", "tensorboard", "results.json",
        "report.html", "media", "data.json", "start.safetensors", "confirmation", "sittings.json",
        "population.json", "winner.toml",
        learner_files.FOLDER, lock.FILE, record.FILE,
    }  # fmt: skip
    content = _content(folder)
    strangers = [p.name for p in content if origin(p) not in ours]
    if strangers:
        raise UsageError(f"'{folder}' holds '{strangers[0]}', which no run made; empty it yourself")
    if content and not (begun or (folder / "recipe.toml").is_file()):
        raise UsageError(f"'{folder}' is not a run folder: it has no recipe.toml; empty it yourself")
    # The recipe last: until then the folder is known for a run's.
    for path in sorted(content, key=lambda p: p.name == "recipe.toml"):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def without_end(folder: Path, recipe: str, modules: Iterable[str]) -> None:
    """Write a recipe that asks for more steps, and remove what described the old end.

    Args:
        folder: of the run.
        recipe: the text, of which `modules` are trusted.
        modules: those outside populace that it names.

    Raises:
        RunError: the folder cannot be written.

    """
    try:
        record.keep(folder, recipe, modules)
        write(folder / "recipe.toml", recipe)
        for name in ("results.json", "report.html", "winner.toml"):
            (folder / name).unlink(missing_ok=True)
        for name in ("media", "confirmation"):
            shutil.rmtree(folder / name, ignore_errors=True)
    except (OSError, MemoryError) as error:
        raise RunError(failures.reason(error, folder)) from None
