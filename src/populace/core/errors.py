"""Exceptions with a one-line message for users, and their exit codes."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches

from populace.core.untrusted.shown import escaped, line, shortened


def first_line(error: BaseException) -> str:
    """Return the first line of what an exception says."""
    return line((str(error).strip().splitlines() or ["no message"])[0])


def typed_line(error: BaseException) -> str:
    """Return an exception's type, and the first line of what it says."""
    return f"{type(error).__name__}: {first_line(error)}"


def article(noun: str) -> str:
    """Return a noun behind its article, `a` or `an`."""
    return ("an " if noun[0] in "aeiou" else "a ") + noun


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
        super().__init__(line(f"{message}; {advice.python}" if advice else message))
        self.command_line = line(f"{message}; {advice.command_line}" if advice else message)
        """The line as the command line prints it."""


class UsageError(PopulaceError, ValueError):
    """Invalid usage: an unknown name, a wrong type or value, a missing file. Exit code 2."""

    exit_code = 2


class UnknownKindError(UsageError):
    """Settings alone do not make it: it takes more than these, or its kind is of no imported class."""


class RunError(PopulaceError, RuntimeError):
    """A failure at run time of a valid request: a full disk, a damaged file. Exit code 1."""


_MANY = 50  # names; of more, a message lists the nearest
_SUGGESTED = 6  # names at most
_AS_NEAR = 0.1  # below the similarity of the nearest name, others are still meant as likely


def unknown(what: str, name: str, known: Iterable[str], *, where: str = "", owner: str = "") -> UsageError:
    """Return the error for an unknown name, with all known ones that may be meant, or several of the rest.

    Args:
        what: kind of thing that was named, such as `"recipe"`.
        name: the name that is not known.
        known: the names that are.
        where: added behind the name, such as `" in [run]"`.
        owner: path that all these names begin with, such as `"exploration."`; nearness is that of the rest.

    """
    choices, name = sorted(known), shortened(escaped(shortened(name)))
    if meant := near(name, choices):
        advice = did_you_mean(owner + c for c in meant)
    elif len(choices) > _MANY:
        nearest = get_close_matches(name.lower(), choices, n=5, cutoff=0.0)
        advice = f"the nearest of {len(choices)}: " + ", ".join(owner + c for c in nearest)
    elif choices:
        advice = "known: " + ", ".join(owner + c for c in choices)
    else:
        advice = "there are none"
    return UsageError(f"unknown {what} '{owner}{name}'{where}; {advice}")


def did_you_mean(names: Iterable[str]) -> str:
    """Return the question whether one of these names was meant."""
    *others, last = (f"'{name}'" for name in names)
    return f"did you mean {', '.join(others)}{' or ' if others else ''}{last}?"


def likeness(name: str, choice: str) -> float:
    """Return how alike two names are but for capitals and the order of words, from 0 to 1."""
    pairs = ((choice.lower(), name.lower()), (_sorted_words(choice), _sorted_words(name)))
    return max(SequenceMatcher(None, *pair).ratio() for pair in pairs)


def _sorted_words(name: str) -> str:
    return " ".join(sorted(re.split(r"[-_ ]", name.lower())))


def near(name: str, choices: Sequence[str]) -> list[str]:
    """Return the names that may be meant, the nearest first: mistyped, cut short, or written differently."""
    wanted, ratios = name.lower(), {c: likeness(name, c) for c in choices}

    def alike(cutoff: float) -> list[str]:
        best = max(ratios.values(), default=0.0)
        return [c for c in choices if ratios[c] >= max(cutoff, best - _AS_NEAR)]

    def part(choice: str) -> bool:  # `rate` for `learning_rate` is close in meaning and far in letters
        short, long = sorted((choice.lower(), wanted), key=len)
        initials = "".join(word[:1] for word in choice.lower().split("_"))
        return (len(short) > 2 and short in long) or (len(wanted) > 1 and wanted == initials)

    meant = {*alike(0.7), *filter(part, choices)} or alike(0.5)
    return sorted(meant, key=lambda c: (-ratios[c], c))[:_SUGGESTED]
