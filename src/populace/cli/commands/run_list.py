"""The command list runs."""

from pathlib import Path

from rich.markup import escape
from rich.table import Table

from populace.cli.output import Terminal
from populace.runs.integrity.status import runs


def print_runs(folder: Path) -> None:
    """Print the runs in a folder: how far each is, and who trains it."""
    found = runs(folder)
    console = Terminal()
    if not found:
        console.print(f"no runs in {folder}", highlight=False, markup=False)
        return
    table = Table.grid(padding=(0, 3))
    for one in found:
        done = f"{one.step:,} of {one.steps:,} steps"
        table.add_row(f"[bold]{escape(str(one.path))}[/]", one.state, done, escape(one.owner))
    console.print(table, highlight=False)
