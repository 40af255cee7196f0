"""Manifest: which parts the metric tables of a run consist of, with rows, size and SHA-256 of each.

A part counts once the manifest lists it. One that is listed and missing, or is not what was written, is named
and refused: tables with a hole look like others.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

from populace.core.errors import RunError
from populace.core.files import sha256, write
from populace.runs.folder import again
from populace.runs.integrity import sealed
from populace.runs.integrity.schemas import json_files

FILE = "manifest.json"


@dataclass(frozen=True)
class Part:
    """One file of the metric tables."""

    file: str
    kind: str
    first: int
    """Step of its first row."""
    last: int
    rows: int
    bytes: int
    sha256: str


def part(path: Path, kind: str, first: int, last: int, rows: int) -> Part:
    """Return the entry of a part that has just been written."""
    return Part(path.name, kind, first, last, rows, path.stat().st_size, sha256(path))


def read(folder: Path) -> list[Part] | None:
    """Return the parts that a manifest lists, in the order they were written; None where there is none.

    Raises:
        RunError: it cannot be read, or was changed.

    """
    path = folder / FILE
    try:
        return [Part(**entry) for entry in json_files.read(path, sealed=True)["parts"]]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"'{path}' cannot be trusted: {error}", again(folder.parent)) from None


def keep(folder: Path, parts: Sequence[Part]) -> None:
    """Write the manifest."""
    write(folder / FILE, sealed.seal(json.dumps({"parts": [asdict(p) for p in parts]}, indent=1)))


def digest(parts: Sequence[Part]) -> str:
    """Return the SHA-256 of what is listed, by which a checkpoint knows the tables that belong to it."""
    return sealed.digest([astuple(p) for p in parts])


def damages(folder: Path, parts: Sequence[Part]) -> Iterator[str]:
    """Yield a line for each part that is missing or is not what was written."""
    for one in parts:
        path = folder / one.file
        try:
            found = path.stat().st_size
            if found != one.bytes:
                yield f"'{path}' is damaged: it has {found:,} bytes of {one.bytes:,}"
            elif sha256(path) != one.sha256:
                yield f"'{path}' is damaged: its checksum does not match"
        except FileNotFoundError:
            yield f"'{path}' is missing: {one.rows:,} rows of the steps {one.first:,} to {one.last:,}"
        except OSError as error:
            yield f"'{path}' cannot be read: {error.strerror or error}"


def check(folder: Path, parts: Sequence[Part]) -> None:
    """Raise a `RunError` for the first part that is missing or damaged."""
    for line in damages(folder, parts):
        raise RunError(line, again(folder.parent))
