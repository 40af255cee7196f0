"""The commands status and watch: how far a run is, in the terminal and as a live page."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from populace.cli.output import Terminal, print_json
from populace.core.errors import PopulaceError

if TYPE_CHECKING:
    from populace.runs.integrity.status import Progress
    from populace.runs.so_far import RunSoFar

_LEADERS = 5


def status(folder: Path, as_json: bool) -> None:
    """Print how far a run is, and which settings lead."""
    from populace.report import number_format
    from populace.report.runs import Reading
    from populace.report.watch import words

    run, found = _opened(folder)
    try:
        reading, why = Reading.of(run), ""
    except PopulaceError as error:
        reading, why = None, error.command_line
    ranked = [(e, b) for e in reading.ranked if (b := reading.believed(e))] if reading else []
    if as_json:
        assert reading is not None or why
        now = found.status
        leaders = [
            {"setting": e["setting"], "values": e["values"], "score": [b.value, b.low, b.high]}
            for e, b in ranked[:_LEADERS]
        ]
        state = {"state": now.state, "step": now.step, "steps": now.steps, "owner": now.owner}
        times = {"seconds": found.seconds, "remaining": found.remaining}
        print_json(state | times | {"ended": reading and reading.results.get("ended", 0), "leaders": leaders})
        return
    console = Terminal()

    def say(line: str) -> None:
        console.print(line.replace("\u202f", ","), highlight=False, markup=False, soft_wrap=True)

    say(words.sentence(found))
    for name, value in words.facts(found, reading):
        say(f"  {name:<18} {value}")
    if why:
        say(why)
    for place, (entry, score) in enumerate(ranked[:_LEADERS]):
        name = reading.score if reading and not place else ""
        label = reading.label(entry) if reading else ""
        say(f"  {name:<18} {number_format.interval(score)}  {label}")


def watch(folder: Path, port: int) -> None:
    """Serve the live page of a run until Ctrl-C."""
    from populace.report.watch import Server
    from populace.runs.integrity.status import progress

    run, _ = _opened(folder)
    with Server(run, lambda: progress(folder), port) as server:
        Terminal().print(
            f"{server.url} shows {folder} while it trains; Ctrl-C ends this, and not the run",
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


def _opened(folder: Path) -> "tuple[RunSoFar, Progress]":
    from populace.runs.integrity.status import progress
    from populace.runs.so_far import RunSoFar

    run = RunSoFar.load(folder)
    assert isinstance(run, RunSoFar)
    return run, progress(folder)
