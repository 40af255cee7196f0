"""Classes by a short name that an installed package registers (an entry point), or by their import path."""

import inspect
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any, TypeVar

from populace.core.errors import UsageError, unknown
from populace.core.imports import by_path
from populace.core.settings import Settings

C = TypeVar("C")


def paths(group: str) -> dict[str, str]:
    """Return the short names of a group of entry points, and the import path of each."""
    return {e.name: e.value for e in entry_points(group=group)}


def find_class(kind: str, what: str, known: Mapping[str, str], base: type[C]) -> type[C]:
    """Return the class of a short name or of an import path `package.module:Class`.

    Args:
        kind: the name or path.
        what: kind of class, for messages: `learner`.
        known: the short names and their paths.
        base: what it must be a subclass of.

    Raises:
        UsageError: no such class, it is not a subclass of `base`, or it is abstract.

    """
    path = known.get(kind, kind)
    if ":" not in path:
        raise unknown(what, kind, known)
    found = by_path.find(path, what)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise UsageError(
            f"'{kind}' is not a {base.__name__}; expected a subclass of populace.{base.__name__}"
        )
    if inspect.isabstract(found):
        missing = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
        raise UsageError(f"'{kind}' is an abstract {base.__name__}: it does not define {missing}")
    return found


def import_kinds(values: Any) -> None:
    """Import the modules of nested settings whose kind is a class outside populace, `module:Class`.

    Raises:
        UsageError: there is no such module or class, or it is no kind of setting.

    """
    if isinstance(values, Mapping):
        kind = values.get("kind")
        if isinstance(kind, str) and ":" in kind:
            found = by_path.find(kind, "kind")
            if not (isinstance(found, type) and issubclass(found, Settings)):
                raise UsageError(f"'{kind}' is no kind of setting; expected a subclass of populace.Settings")
        values = list(values.values())
    if isinstance(values, list):
        for value in values:
            import_kinds(value)
