"""Verify: reads every file of a run folder and says what is not as it was written; it trains nothing."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from populace.core import files
from populace.core.errors import PopulaceError, first_line
from populace.core.untrusted import toml
from populace.runs import metric_tables
from populace.runs.integrity import checkpoint_files, continuity, manifest, record, sealed, sittings
from populace.runs.integrity.status import status
from populace.runs.weights import start


def damages(folder: Path) -> list[str]:
    """Return a line for everything in a run folder that is missing, damaged or does not belong together."""
    found = [line for check in (_files, _tables, _checkpoints) for line in check(folder)]
    if (folder / "confirmation").is_dir():
        found += damages(folder / "confirmation")
    return found


def _files(folder: Path) -> Iterator[str]:
    """Check the files beside tables and checkpoints."""
    required = {"recipe.toml": lambda text: toml.loads(text, "it"), "environment.json": sealed.opened}
    optional = {"results.json": sealed.opened, "data.json": sealed.loads, "media/index.json": sealed.loads}
    optional |= {"population.json": sealed.opened}
    optional[record.FILE] = sealed.opened
    readers: dict[str, Callable[[str], Any]] = required | optional
    for name, reader in readers.items():
        path = folder / name
        try:
            reader(files.read(path))
        except FileNotFoundError:
            if name in required:
                yield f"'{path}' is missing"
        except OSError as error:
            yield f"'{path}' cannot be read: {error.strerror or error}"
        except ValueError as error:
            yield f"'{path}' is damaged: {first_line(error)}"
    if (folder / start.FILE).exists():
        yield from _told(lambda: start.read(folder))
    yield from _told(lambda: sittings.read(folder))
    known = status(folder)
    if known.steps and known.step > known.steps:
        recipe = folder / "recipe.toml"
        yield f"'{recipe}' asks for {known.steps:,} steps, and {known.step:,} have been trained"


def _tables(folder: Path) -> Iterator[str]:
    tables = folder / "metrics"
    try:
        listed = manifest.read(tables)
    except PopulaceError as error:
        yield str(error).partition(";")[0]
        return
    if listed is None:
        if checkpoint_files.steps(folder / "checkpoints") or any(tables.glob("*.parquet")):
            yield f"'{tables / manifest.FILE}' is missing"
        return
    bad = list(manifest.damages(tables, listed))
    yield from bad
    if not bad:
        for kind in metric_tables.KINDS:
            yield from _told(lambda kind=kind: metric_tables.read(tables, kind))


def _checkpoints(folder: Path) -> Iterator[str]:
    for step in checkpoint_files.steps(folder / "checkpoints"):
        path = folder / "checkpoints" / str(step)
        try:
            info = checkpoint_files.check(path)
        except ValueError as error:
            yield f"'{path}' is damaged: {error}"
            continue
        try:
            yield from _told(lambda info=info: continuity.check(folder, info))
        except (OSError, ValueError, KeyError) as error:  # of the recipe, which has been told
            yield f"'{path}' cannot be compared with the recipe: {first_line(error)}"


def _told(act: Callable[[], Any]) -> Iterator[str]:
    try:
        act()
    except PopulaceError as error:
        yield str(error)
