"""Output shared by all commands: a terminal that names cannot steer, JSON, and one-line errors."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from populace.core.errors import RunError, UsageError
from populace.core.files import to_json
from populace.core.untrusted.shown import escaped, line
from populace.engine.hosts import launcher, together


class Terminal(Console):
    """A console that prints what does not print as Python writes it: names may hold escape sequences.

    What a name says in Rich's markup is for whoever prints it: by `rich.markup.escape`, or `markup=False`.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Return the segments of a renderable, escaped."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                text = "\n".join(escaped(part) for part in segment.text.split("\n"))
                yield Segment(text, segment.style)


def fail(message: str, code: int) -> NoReturn:
    """Print one line to standard error and exit; of several processes that train together, one prints."""
    if together.joined() is not None:
        from populace.engine.hosts import watchdog

        says, code = watchdog.end(message, code)
    else:
        says = launcher.speaks()
    if says:
        print(f"populace: {line(message)}", file=sys.stderr)
    sys.exit(code)


def warning_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, source: str | None = None
) -> str:
    """Return a warning as one line, in the place of `warnings.formatwarning`.

    One that populace or a learner gives is for the person, who has no use for the line of source that it
    came from; others, as of a package's deprecations, say where.
    """
    if category is UserWarning:
        return f"populace: warning: {line(str(message))}\n"
    del source
    return f"{filename}:{lineno}: {category.__name__}: {line(str(message))}\n"


def print_json(value: Any) -> None:
    """Print JSON to standard output."""
    print(to_json(value))


def made_folder(folder: Path) -> Path:
    """Return a folder to write results to, made where there is none.

    Raises:
        UsageError: it is a file.
        RunError: it cannot be made.

    """
    if folder.is_file():
        raise UsageError(f"output folder '{folder}' is a file; choose another with --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot write to output folder '{folder}': {error.strerror}") from None
    return folder
