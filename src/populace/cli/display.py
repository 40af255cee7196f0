"""What is shown while a command works: one live line in a terminal or a notebook, lines elsewhere.

Imports nothing heavy, so that the first phase is named before JAX is imported.
"""

import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal, NamedTuple, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from populace.cli.notebook import Line, in_notebook
from populace.cli.output import Terminal

Kind = Literal["notebook", "terminal", "plain"]
TRAINING = "training"
_BAR = 24
_SHARE = 4  # width of the percentage
_GAP = 2


class Part(NamedTuple):
    """Something to say of a run, and its rank: in a narrow terminal those of high rank are left out."""

    rank: int
    text: str


class Display:
    """Shows a phase, such as `loading`, or how much is done and what there is to say of it.

    Args:
        console: where lines are printed; by default standard output.
        kind: `notebook`, `terminal` or `plain`; by default what this process runs in.
        silent: show nothing.

    """

    def __init__(
        self, console: Console | None = None, *, kind: Kind | None = None, silent: bool = False
    ) -> None:
        self.console, self.silent = console or Terminal(), silent
        self.kind: Kind = kind or _kind()
        self.now = ""
        """The phase that was named last."""
        self._live: Live | None = None
        self._line = Line()

    def phase(self, name: str, *, live: bool = False) -> None:
        """Name what is being done from now on; the same name again shows nothing.

        Args:
            name: of the phase.
            live: show it only where it makes no line of its own: in a terminal or a notebook.

        """
        if name == self.now:
            return
        self.now = name
        if self.silent or (live and self.kind == "plain"):
            return
        if self.kind == "notebook":
            self._line.show(None, [name])
        elif self.kind == "terminal":
            self._update(Text(f"{name} ...", style="dim", no_wrap=True, overflow="ellipsis"), at_once=True)
        else:
            self.line(name)

    def progress(self, done: float, parts: Sequence[Part]) -> None:
        """Show how much is done, from 0 to 1, and what there is to say of it."""
        self.now = TRAINING
        words = [part.text for part in parts]
        if self.silent:
            return
        if self.kind == "notebook":
            self._line.show(done, words)
        elif self.kind == "terminal":
            self._update(_bar(done, parts, self.console.width))
        else:
            self.line("  ".join(words))

    def line(self, text: str) -> None:
        """Print a line, in a terminal above what is live."""
        if not self.silent:
            self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Remove the live line of a terminal."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _update(self, shown: Text, *, at_once: bool = False) -> None:
        if self._live is None:
            self._live = Live(console=self.console, refresh_per_second=4, transient=True)
            self._live.start()
        self._live.update(shown, refresh=at_once)


def _bar(done: float, parts: Sequence[Part], width: int) -> Text:
    """Return one line; in a narrow terminal without the bar, then without the least important parts."""
    room = width - _SHARE
    shown: list[Part] = []
    for part in sorted(parts, key=lambda part: part.rank):
        if room < _GAP + len(part.text):
            break
        shown.append(part)
        room -= _GAP + len(part.text)
    line = Text(no_wrap=True, overflow="ellipsis")
    if room > _BAR:
        full = int(done * _BAR)
        line.append("━" * full, "cyan").append("━" * (_BAR - full), "dim").append(" ")
    line.append(f"{done:4.0%}")
    for part in parts:
        if part in shown:
            line.append(" " * _GAP + part.text)
    return line


def _kind() -> Kind:
    if in_notebook():
        return "notebook"
    with suppress(AttributeError, ValueError):  # standard output may be closed, or none
        return "terminal" if sys.stdout.isatty() else "plain"
    return "plain"
