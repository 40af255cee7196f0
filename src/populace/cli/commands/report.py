"""The command report: the page of a run, or of several, and what its settings cost."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from populace.cli.options import loading
from populace.cli.output import Terminal
from populace.core.errors import UsageError

if TYPE_CHECKING:
    from populace.report.trade_off import TradeOff


def report(folders: list[Path], out: Path | None, trade_off: bool) -> None:
    """Write the report of a run or a comparison of several, and print what the settings of one cost.

    Raises:
        UsageError: the costs are asked for of several runs, or of one that has none; the line says why.

    """
    if trade_off and len(folders) > 1:
        raise UsageError(f"--trade-off is about the settings of one run, got {len(folders)} runs")
    with loading(False) as display:
        from populace import report as reports
        from populace.report.runs import Reading
        from populace.report.trade_off import TradeOff
        from populace.runs.run import Run

        runs = [Run.load(folder) for folder in folders]
        for one in runs:
            one.results()
        found = TradeOff(Reading.of(runs[0])) if trade_off else None
        if found is not None and found.obstacle:
            raise UsageError(f"'{folders[0]}' has no trade-off: {found.obstacle}")
        target = out or (None if len(runs) == 1 else Path("comparison.html"))
        display.phase("writing the report")
        written = reports.write(runs, target)
    if found is not None:
        _print(found)
    Terminal().print(f"report: {written}", highlight=False, markup=False, soft_wrap=True)


def _print(found: "TradeOff") -> None:
    from populace.report import number_format
    from populace.report.text import trade_off as words

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    judged = found.judges_over_fitting
    heads = [found.reading.score, *(cost.short for cost in found.differing)]
    for head in [*heads, "over-fitting"] if judged else heads:
        table.add_column(escape(head), justify="right")
    words_of = (word for one in found.front for word in found.reading.label(one.entry).split())
    table.add_column("setting", overflow="fold", min_width=max(map(len, words_of)))
    for one in found.front:
        costs = (cost.write(one.of[cost.key]) for cost in found.differing)
        lost = number_format.MISSING if one.over_fitting is None else number_format.value_of(one.over_fitting)
        label = found.reading.label(one.entry)
        texts = [number_format.value_of(one.score), *costs, *([lost] if judged else []), label]
        chosen = one.entry is found.reading.winner
        table.add_row(*(escape(_plain(text)) for text in texts), style="bold" if chosen else "")
    console = Terminal()
    console.print(table)
    for line in (words.front(found), words.smallest(found), *words.missing(found)):
        console.print(_plain(line), highlight=False, markup=False, soft_wrap=True)


def _plain(text: str) -> str:
    """Return a text with the commas that a terminal shows in the place of thin spaces."""
    return text.replace("\u202f", ",")
