"""Which code a file names, and whether it may run.

A recipe is data that somebody else may have written, but some of its strings name code: `my_module:Learner`
as a kind, `my_module:Maze(size=5)`, `gymnasium:my_module:Maze-v0`, `pettingzoo:my_module` or
`jaxmarl:my_module:Maze` as an environment. To import a module is to run it. So before anything of a recipe
is resolved, all of its strings are searched for modules outside populace and the packages that registered
something with it or with Gymnasium, wherever they stand and whatever they are for: a setting added tomorrow
is searched too.
"""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from populace.core.errors import Advice, UsageError
from populace.core.imports.by_path import is_house

_REGISTRIES = {"gymnasium": "gymnasium.envs", "jaxmarl": ""}
"""What stands before a registered name, `gymnasium:CartPole-v1`, and the entry points that register them."""
_MODULES = ("pettingzoo",)
"""What stands before the name of a module alone, `pettingzoo:mpe2.simple_spread_v3`."""
_OURS = ("populace.learners", "populace.controllers")


def foreign(value: Any) -> dict[str, str]:
    """Return the modules outside populace that strings in tables and lists name, and a string that does."""
    known, found = _installed(), {}
    for text in _strings(value):
        for module in _modules(text):
            if not is_house(module) and module not in known:
                found.setdefault(module, text)
    return found


def check(value: Any, source: str) -> None:
    """Raise a `UsageError` if a file names modules outside populace.

    Args:
        value: the tables of the file, whose names would be resolved.
        source: the file, for the message.

    """
    if found := foreign(value):
        named = ", ".join(f"module '{module}' ('{text}')" for module, text in found.items())
        raise UsageError(
            f"{source} names code outside populace: {named}, and to import it is to run it",
            Advice("if you trust it, pass trust=True", "if you trust it, add --trust"),
        )


@cache
def _installed() -> frozenset[str]:
    """Return the modules of installed entry points, and the packages that hold environments."""
    modules = {entry.module for group in _OURS for entry in entry_points(group=group)}
    for group in filter(None, _REGISTRIES.values()):
        for entry in entry_points(group=group):
            modules |= {entry.module, entry.module.partition(".")[0]}
    return frozenset(modules)


def _strings(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            waiting += value.values()
        elif isinstance(value, list | tuple | set | frozenset):
            waiting += value


def _modules(text: str) -> Iterator[str]:
    """Yield the modules that a string names, also those in its arguments."""
    bare, bracket, inside = text.partition("(")
    parts = [part.strip() for part in bare.split(":")]
    if parts[0] in _REGISTRIES and len(parts) > 1:
        parts = parts[1:]
    elif parts[0] in _MODULES and len(parts) > 1:
        parts = [parts[1], "_"]
    names = len(parts) > 1 and parts[1][:1].isidentifier()  # `https://...` names no module
    if names and all(part.isidentifier() for part in parts[0].split(".")):
        yield parts[0]
    if bracket:
        for argument in _texts(inside):
            yield from _modules(argument)


def _texts(inside: str) -> list[str]:
    try:
        tree = ast.parse(f"f({inside}", mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []  # no arguments: whoever reads them says so
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return [value for value in constants if isinstance(value, str)]
