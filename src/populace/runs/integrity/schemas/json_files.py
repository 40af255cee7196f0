"""Reading the JSON files of a run: a file that parses is not yet one of a run.

What is written has its schema, all of it: a field that a reader uses and no schema names would be believed as
it is. Fields of later versions may be there besides. Indices must lie within the file that states them.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from populace.core import files
from populace.core.untrusted.shown import line, shortened
from populace.runs.integrity import sealed as seals
from populace.runs.integrity.schemas.fields import Part
from populace.runs.integrity.schemas.records import (
    Checkpoint,
    Data,
    Environment,
    Lock,
    Manifest,
    Population,
    SavedMember,
    Sittings,
)
from populace.runs.integrity.schemas.results import Member, Results, check_indices

SCHEMAS: Mapping[str, type[Part]] = {
    "results.json": Results, "environment.json": Environment, "lock.json": Lock, "data.json": Data,
    "sittings.json": Sittings, "manifest.json": Manifest, "info.json": Checkpoint, "member.json": SavedMember,
    "population.json": Population,
}  # fmt: skip
_TOGETHER = 1000
"""Members that are checked at a time: as objects they are several times as large as in the file."""


def read(path: Path, *, sealed: bool = False) -> dict[str, Any]:
    """Return what a JSON file of a run holds.

    Args:
        path: the file.
        sealed: whether it ends with its checksum.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no JSON, or is not what a file of its name holds; the message is one line.

    """
    found = seals.opened(files.read(path)) if sealed else seals.loads(files.read(path))
    what = SCHEMAS.get(path.name, dict[str, Any])
    members = found.get("members") if what is Results and isinstance(found, dict) else None
    if isinstance(members, list) and len(members) > _TOGETHER:
        checked = _checked(what, found | {"members": members[:_TOGETHER]})
        for at in range(_TOGETHER, len(members), _TOGETHER):
            _checked(list[Member], members[at : at + _TOGETHER], "members", at)
    else:
        checked = _checked(what, found)
    if isinstance(checked, Results):
        check_indices(checked, found["members"])
    return found


def _checked(what: Any, found: Any, where: str = "", at: int = 0) -> Any:
    """Return what was found as its schema has it; `where` it stands, if it is a list from entry `at` on.

    Raises:
        ValueError: it is something else.

    """
    try:
        return _adapter(what).validate_python(found)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = [*first["loc"]]
        if where:
            place = [where, at + int(place[0]), *place[1:]]
        told = ".".join(map(str, place)) or "the file"
        raise ValueError(f"{shortened(told)}: {line(first['msg'][:1].lower() + first['msg'][1:])}") from None


@cache
def _adapter(what: Any) -> TypeAdapter[Any]:
    return TypeAdapter(what)
