"""Exceptions with a one-line message for users, and their exit codes."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


def first_line(error: BaseException) -> str:
    """Return the first line of what an exception says."""
    return (str(error).strip().splitlines() or ["no message"])[0]


@dataclass(frozen=True)
class Advice:
    """What to do, in the words of a call in Python and in those of the command line."""

    python: str
    command_line: str


class PopulaceError(Exception):
    """An error with a one-line message: what was wrong, what was expected, and what to do.

    Args:
        message: the line.
        advice: what to do, where it is another thing in Python than on the command line; it ends the line.

    """

    exit_code = 1

    def __init__(self, message: str = "", advice: Advice | None = None) -> None:
        super().__init__(f"{message}; {advice.python}" if advice else message)
        self.command_line = f"{message}; {advice.command_line}" if advice else message
        """The line as the command line prints it."""


class UsageError(PopulaceError, ValueError):
    """Invalid usage: an unknown name, a wrong type or value, a missing file. Exit code 2."""

    exit_code = 2


class UnknownKindError(UsageError):
    """A nested setting names a kind that no imported class has; it may be one of the user's own."""


class RunError(PopulaceError, RuntimeError):
    """A failure at run time of a valid request: a full disk, a damaged file. Exit code 1."""


_MANY = 50  # names; of more, a message lists the nearest


def unknown(what: str, name: str, known: Iterable[str], *, where: str = "", owner: str = "") -> UsageError:
    """Return the error for an unknown name, with the nearest known one, or several of them.

    Args:
        what: kind of thing that was named, such as `"recipe"`.
        name: the name that is not known.
        known: the names that are.
        where: added behind the name, such as `" in [run]"`.
        owner: path that all these names begin with, such as `"exploration."`; nearness is that of the rest.

    """
    choices = sorted(known)
    near = get_close_matches(name.lower(), choices, n=1, cutoff=0.7)
    if not near:  # `rate` for `learning_rate`: close in meaning, far in letters
        near = [c for c in choices if len(name) > 2 and (name in c or c in name)][:1]
    near = near or get_close_matches(name.lower(), choices, n=1, cutoff=0.5)
    if near:
        advice = f"did you mean '{owner}{near[0]}'?"
    elif len(choices) > _MANY:
        nearest = get_close_matches(name.lower(), choices, n=5, cutoff=0.0)
        advice = f"the nearest of {len(choices)}: " + ", ".join(owner + c for c in nearest)
    elif choices:
        advice = "known: " + ", ".join(owner + c for c in choices)
    else:
        advice = "there are none"
    return UsageError(f"unknown {what} '{owner}{name}'{where}; {advice}")
