"""Options that several commands share, and the display that each begins with."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from populace.cli.display import Display


def loading(silent: bool) -> "Display":
    """Return a display that names the first phase, before what takes long is imported.

    Only a live one does: what is refused leaves nothing on a standard output that is read by a program.
    """
    from populace.cli.display import Display
    from populace.engine.hosts import launcher

    several = launcher.found() is not None
    display = Display(silent=silent or (several and not launcher.speaks()))
    if alone := launcher.warning():
        display.line(alone)
    display.phase("loading", live=True)
    if several:
        from populace.engine.hosts.joining import join

        display.phase("meeting the other processes")
        join(sys.argv[1:])
    return display


Json = Annotated[bool, typer.Option("--json", help="Print results as JSON on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", help="Print at the end what was compiled, how often, and how long it took."),
]
NoReport = Annotated[bool, typer.Option("--no-report", help="Skip the report and its videos.")]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust", help="Import the modules outside populace that the recipe names, which runs their code."
    ),
]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.", show_default=False)]
