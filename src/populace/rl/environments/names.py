"""Names of environments with arguments, written as a call: `GridRobot-v0(width=5, height=5)`."""

import ast
from dataclasses import dataclass, field
from typing import Any

from populace.core.errors import UsageError
from populace.core.untrusted.shown import shortened

SOURCES = ("gymnasium", "pettingzoo", "jaxmarl")
"""What may stand before the name of an environment of another package."""
_LONGEST = 10_000  # characters of a name with its arguments

ADVICE = "name an environment of your own by the import path of its class, 'module:Class'"
"""Added to the error for a class, a function or an environment object in place of a name."""


@dataclass(frozen=True)
class Name:
    """The parts of a name.

    Attributes:
        whole: the name as the user wrote it.
        source: one of `SOURCES` if the name starts with it and a colon, otherwise empty.
        identifier: the environment's id, `module:Class`, or a module of PettingZoo's.
        arguments: keyword arguments.

    """

    whole: str
    source: str
    identifier: str
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> bool:
        """Whether it is the import path of a class, `module:Class`."""
        return ":" in self.identifier


def parse(text: str) -> Name:
    """Split a name into its parts.

    Raises:
        UsageError: the arguments are not `key=value` with literal values.

    """
    if len(text) > _LONGEST:
        raise UsageError(f"environment '{shortened(text)}': a name has at most {_LONGEST:,} characters")
    bare, bracket, inside = text.partition("(")
    bare = bare.strip()
    source, _, rest = bare.partition(":")
    if source not in SOURCES:
        source, rest = "", bare
    return Name(text, source, rest, _arguments(text, inside) if bracket else {})


def _arguments(text: str, inside: str) -> dict[str, Any]:
    wrong = UsageError(
        f"environment '{text}': write arguments like Name(width=5, slippery=False), with literal values"
    )
    try:
        call = ast.parse("f(" + inside, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the latter two: nested too deeply
        raise wrong from None
    if (
        not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name))
        or call.args
        or any(k.arg is None for k in call.keywords)
    ):
        raise wrong
    if any(isinstance(node, ast.Constant) and _is_huge(node.value) for node in ast.walk(call)):
        raise wrong
    try:
        return {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
    except (ValueError, TypeError, RecursionError, MemoryError):
        raise wrong from None


def _is_huge(value: Any) -> bool:
    return isinstance(value, int) and value.bit_length() > 64
