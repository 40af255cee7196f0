"""Finds what a string names, `module:Class`: one rule for learners, controllers, kinds and environments.

A module is looked for where Python looks, and then in the current folder: a script finds the modules beside
it, and `populace resume`, started from there, must find the same.

Whoever asks has seen to it that the module may be imported at all (`trust`). Nothing in Python's standard
library is a learner or an environment, so `os:system` is refused whoever names it.
"""

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

from populace.core.errors import UsageError, article, first_line, typed_line

HOUSE = __name__.partition(".")[0]


def find(path: str, what: str) -> Any:
    """Return what `module:Class` names.

    Args:
        path: name of a module, a colon, and the name of a class or function in it.
        what: kind of thing that is named, for messages: `learner`.

    Raises:
        UsageError: there is no such module or class, it is Python's own, or importing it fails.

    """
    module, _, inside = path.partition(":")
    check(module, path, what)
    if not all(part.isidentifier() for part in inside.split(".")):
        raise UsageError(f"'{path}' is no import path of {article(what)}; expected module:Class")
    if not is_house(module) and os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.append(os.getcwd())
    try:
        found: Any = importlib.import_module(module)
        for part in inside.split("."):
            if found is not sys.modules[module] and not isinstance(found, type):
                raise AttributeError(f"'{part}' is not looked for in what is no class")
            found = getattr(found, part)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        own = missing == module.partition(".")[0]
        advice = f"; start from the folder that holds {missing}.py, or install it" if own else ""
        raise UsageError(f"cannot import {what} '{path}': {error}{advice}") from None
    except Exception as error:  # importing a module may raise anything
        script = (
            " (it was defined in a script; put it in a module, or give it to Run.load)"
            if module == "__main__"
            else ""
        )
        reason = first_line(error) if isinstance(error, AttributeError) else typed_line(error)
        raise UsageError(f"cannot import {what} '{path}': {reason}{script}") from error
    check(str(getattr(found, "__module__", None) or module), path, what)
    return found


def find_class_or_factory(path: str, what: str, base: type) -> Callable[..., Any]:
    """Return a subclass of `base`, or a function that makes one; never a function of populace's own.

    Raises:
        UsageError: it is neither, or as of `find`.

    """
    found = find(path, what)
    if isinstance(found, type):
        if issubclass(found, base):
            return found
        raise UsageError(f"'{path}' is no {what}: it is not a subclass of {base.__name__}")
    if not callable(found) or is_house(path.partition(":")[0]):
        raise UsageError(f"'{path}' is no {what}; expected a class, or a function of your own that makes one")
    return found


def check(module: str, path: str, what: str) -> None:
    """Raise a `UsageError` if a module's name is none, or is of Python's standard library."""
    if not all(part.isidentifier() for part in module.split(".")):
        raise UsageError(f"'{path}' is no import path of {article(what)}; expected module:Class")
    if module.partition(".")[0] in {*sys.stdlib_module_names, *sys.builtin_module_names}:
        raise UsageError(f"'{path}' is no {what}: '{module}' is a part of Python")


def is_house(module: str) -> bool:
    """Return whether a module is one of populace's."""
    return module.partition(".")[0] == HOUSE


def path_of(cls: type) -> str:
    """Return the import path of a class, `module:Class`."""
    return f"{cls.__module__}:{cls.__qualname__}"
