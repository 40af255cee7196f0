"""Finds what a string names, `module:Class`: one rule for learners, controllers, kinds and environments.

A module is looked for where Python looks, and then in the current folder: a script finds the modules beside
it, and `populace resume`, started from there, must find the same.
"""

import importlib
import os
import sys
from typing import Any

from populace.core.errors import UsageError, first_line


def find(path: str, what: str) -> Any:
    """Return what `module:Class` names.

    Args:
        path: name of a module, a colon, and the name of a class in it.
        what: kind of thing that is named, for messages: `learner`.

    Raises:
        UsageError: there is no such module or class, or importing it fails.

    """
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.append(os.getcwd())
    module, _, inside = path.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in inside.split("."):
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
        line = first_line(error)
        reason = line if isinstance(error, AttributeError) else f"{type(error).__name__}: {line}"
        raise UsageError(f"cannot import {what} '{path}': {reason}{script}") from error
    return found


def path_of(cls: type) -> str:
    """Return the import path of a class, `module:Class`."""
    return f"{cls.__module__}:{cls.__qualname__}"
