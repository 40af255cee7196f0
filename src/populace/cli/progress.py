"""Progress display: a live line in a terminal or a notebook, plain lines elsewhere, nothing when quiet."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.table import Table

from populace.cli.notebook import Line, in_notebook
from populace.engine.callbacks import Callback, Evaluation, Window
from populace.statistics import bootstrap_interval, with_worst

Kind = Literal["notebook", "terminal", "plain"]
_PLAIN_SECONDS = 5.0
_NOTEBOOK_SECONDS = 0.25
_BAR = 24
_FADING = 0.9


class Progress(Callback):
    """Shows a run while it trains: members, steps, speed, score with interval, time left.

        populace.train(population, steps=10_000, callbacks=[populace.Progress()])

    In a notebook one output of the cell is updated in place, in a terminal one line; elsewhere, as in the
    log of a batch job, a line is printed every five seconds.

    Args:
        console: where lines are printed; by default standard output.
        kind: `notebook`, `terminal` or `plain`; by default what this process runs in.
        silent: show nothing.

    """

    follows_confirmation = True

    def __init__(
        self, console: Console | None = None, *, kind: Kind | None = None, silent: bool = False
    ) -> None:
        self.console, self.silent = console or Console(), silent
        self.kind: Kind = kind or _kind()
        self._display: Live | None = None
        self._line = Line()
        self._speed, self._at, self._members, self._diverged = 0.0, 0, 0, 0
        self._units, self._seconds = 0.0, 0.0
        self._score, self._printed, self._windows = "", -np.inf, 0
        self._unit, self._scale, self._name = "steps", 1, "score"
        self._mode: Literal["max", "min"] = "max"

    def on_start(self, population: Any, step: int) -> None:
        """Note the population and the starting step."""
        learner = population.learner
        self._members, self._at = len(population), step
        self._unit, self._name = learner.unit, learner.score
        self._scale = sum(population.units_per_step)
        self._mode = learner.mode

    def on_window(self, window: Window) -> None:
        """Update the display; the speed is an exponentially weighted mean over windows."""
        units = (window.step - self._at) * self._scale
        # The first window includes compilation: its speed is shown but not averaged. Units and seconds are
        # averaged separately because windows that were dispatched together also finish together.
        keep = 0.0 if self._windows < 2 else _FADING
        self._units = keep * self._units + units
        self._seconds = keep * self._seconds + window.seconds
        self._speed = self._units / max(self._seconds, 1e-9)
        self._windows += 1
        self._at = window.step
        self._diverged = int((window.diverged_at >= 0).sum())
        self._show()

    def on_evaluation(self, evaluation: Evaluation) -> None:
        """Update the interquartile mean over all members; one that diverged has the worst score."""
        values = evaluation.metrics.get(self._name)
        if values is not None and np.isfinite(values).any():
            i = bootstrap_interval(with_worst(values, self._mode))
            self._score = f"{self._name} {i.value:.4g} ({i.low:.4g} to {i.high:.4g})"
        self._show(force=True)

    def log(self, line: str) -> None:
        """Print a line above the display."""
        if not self.silent:
            self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Remove the live line."""
        if self._display is not None:
            self._display.stop()
            self._display = None

    def finish(self, folder: Path, results: dict[str, Any]) -> None:
        """Print the results and where they are."""
        self.close()
        if self.silent:
            return
        from populace.cli.info import print_results

        print_results(self.console, folder, results)

    def on_end(self, step: int) -> None:
        """Leave the last state in a notebook; take the live line of a terminal away."""
        if self.kind == "notebook":
            self._show(force=True)
        self.close()

    def _show(self, force: bool = False) -> None:
        if self.silent:
            return
        if self.kind == "terminal":
            if self._display is None:
                self._display = Live(console=self.console, refresh_per_second=4, transient=True)
                self._display.start()
            self._display.update(self._table())
            return
        wait = _NOTEBOOK_SECONDS if self.kind == "notebook" else _PLAIN_SECONDS
        if not force and time.perf_counter() - self._printed <= wait:
            return
        self._printed = time.perf_counter()
        if self.kind == "notebook":
            self._line.show(self._share, self._parts())
        else:
            self.console.print("  ".join(self._parts()), highlight=False, markup=False, soft_wrap=True)

    @property
    def _share(self) -> float:
        return self._at / max(self.steps, 1)

    def _parts(self) -> list[str]:
        parts = [
            f"{self._members} members",
            f"step {self._at:,} of {self.steps:,}",
            f"{self._speed:,.0f} {self._unit}/s",
        ]
        if self._score:
            parts.append(self._score)
        if self._speed:
            left = (self.steps - self._at) * self._scale / self._speed
            parts.append(f"{int(left) // 60}:{int(left) % 60:02d} left")
        if self._diverged:
            parts.append(f"{self._diverged} diverged")
        return parts

    def _table(self) -> Table:
        share = self._share
        full = int(share * _BAR)
        grid = Table.grid(padding=(0, 2))
        bar = f"[cyan]{'━' * full}[/][dim]{'━' * (_BAR - full)}[/] {share:4.0%}"
        grid.add_row(bar, *self._parts())
        return grid


class _LogHandler(logging.Handler):
    """Shows the library's log messages, such as downloads, above the display."""

    def __init__(self, display: Progress) -> None:
        super().__init__(logging.INFO)
        self.display = display

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record as a line."""
        self.display.log(record.getMessage())


def _kind() -> Kind:
    if in_notebook():
        return "notebook"
    return "terminal" if sys.stdout.isatty() else "plain"


@contextmanager
def progress(silent: bool) -> Iterator[Progress]:
    """Yield a display that suits standard output."""
    display = Progress(Console(stderr=False, quiet=silent), silent=silent)
    logger, handler = logging.getLogger("populace"), _LogHandler(display)
    # Another library may have added a handler to the root logger, which would print everything twice.
    before, heard = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield display
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        logger.propagate = heard
        display.close()
