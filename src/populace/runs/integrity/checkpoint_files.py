"""The files of a checkpoint: what it says of itself, and whether it is what was written. Needs no JAX.

A checkpoint is a folder named by its step. `info.json`, which is sealed, holds the SHA-256 of every other
file, and of every array before it was written. What is damaged is told before any reader of arrays meets it.
"""

import errno
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from populace.core.files import remove, sha256, write
from populace.runs.integrity import sealed
from populace.runs.integrity.schemas import json_files

LAYOUT = 2
ARRAYS, INFO = "arrays", "info.json"


@dataclass(frozen=True)
class Part:
    """What one process wrote of a checkpoint.

    Attributes:
        folder: in that of the checkpoint.
        arrays: type, shape and SHA-256 of each, by name.
        members: group to the places of its first member there, and after the last; None: all of all groups.

    """

    folder: str
    arrays: dict[str, list[Any]]
    members: dict[int, tuple[int, int]] | None = None

    def rows(self, group: int, start: int, stop: int) -> slice:
        """Return which of its rows are of members of a group, from `start` to before `stop`."""
        first, last = (0, stop) if self.members is None else self.members.get(group, (0, 0))
        start, stop = max(start, first), min(stop, last)
        return slice(start - first, max(stop, start) - first)


def parts(info: Mapping[str, Any]) -> list[Part]:
    """Return the parts of a checkpoint, in the order of the processes that wrote them."""
    if "parts" not in info:
        return [Part(ARRAYS, info["arrays"])]
    return [
        Part(one["folder"], one["arrays"], {group: (start, stop) for group, start, stop in one["members"]})
        for one in info["parts"]
    ]


def steps(folder: Path) -> list[int]:
    """Return the steps of the complete checkpoints in a folder, oldest first."""
    return sorted(int(p.name) for p in folder.iterdir() if p.name.isdecimal()) if folder.is_dir() else []


def digests(folder: Path, inside: str = "") -> dict[str, str]:
    """Return the SHA-256 of every file of a checkpoint, or of those in a folder of it, by name."""
    return {name: sha256(folder / name) for name in _names(folder, inside)}


def keep_info(folder: Path, info: dict[str, Any], files: Mapping[str, str] | None = None) -> None:
    """Write what a checkpoint says of itself; its arrays must be there.

    Args:
        folder: of the checkpoint.
        info: what it says.
        files: the SHA-256 of every other file, where they are known.

    """
    files = digests(folder) if files is None else files
    write(folder / INFO, sealed.seal(json.dumps(info | {"layout": LAYOUT, "files": files}, indent=1)))


def read_info(folder: Path) -> dict[str, Any]:
    """Return what a checkpoint says of itself.

    Raises:
        ValueError: it is missing or damaged, of another layout, or of another step than its name says.

    """
    try:
        info = json_files.read(folder / INFO, sealed=True)
    except OSError as error:
        raise ValueError(f"{INFO} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise ValueError(f"{INFO}: {error}") from None
    if info.get("layout") != LAYOUT:
        raise ValueError(f"layout {info.get('layout')}, this version reads {LAYOUT}")
    if str(info.get("step")) != folder.name:
        raise ValueError(f"it is of step {info.get('step')}")
    return info


def check(folder: Path, inside: Collection[str] | None = None) -> dict[str, Any]:
    """Return what a checkpoint says of itself, having read all of its files.

    Args:
        folder: of the checkpoint.
        inside: read those in these folders of it only.

    Raises:
        ValueError: what is wrong with it.

    """
    info = read_info(folder)
    there = {*_names(folder)}
    for name, expected in info["files"].items():
        if inside is not None and name.partition("/")[0] not in inside:
            continue
        try:
            if name not in there:  # a file elsewhere is none of the checkpoint
                raise FileNotFoundError(errno.ENOENT, "it is not there")
            found = sha256(folder / name)
        except OSError as error:
            raise ValueError(f"{name} cannot be read: {error.strerror or error}") from None
        if found != expected:
            raise ValueError(f"checksum of {name} does not match")
    return info


def discard(folder: Path) -> None:
    """Remove a checkpoint, so that no moment leaves a part of it under its name."""
    aside = folder.with_name(f".0.{folder.name}")
    folder.replace(aside)
    remove(aside)


def _names(folder: Path, inside: str = "") -> list[str]:
    found = (folder / inside).rglob("*")
    return sorted(p.relative_to(folder).as_posix() for p in found if p.is_file() and p.name != INFO)


def is_newest_sound(folder: Path) -> bool:
    """Return whether the newest checkpoint, if there is one, is what was written."""
    try:
        for newest in steps(folder)[-1:]:
            check(folder / str(newest))
    except ValueError:
        return False
    return True
