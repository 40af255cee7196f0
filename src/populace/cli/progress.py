"""Progress display: a live line in a terminal, plain lines elsewhere, nothing when quiet."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.table import Table

from populace.engine.callbacks import Callback, Evaluation, Window
from populace.statistics import bootstrap_interval

_PLAIN_SECONDS = 5.0
_BAR = 24
_FADING = 0.9


class Progress(Callback):
    """Listens to a run and shows it: members, steps, speed, score with interval, time left."""

    def __init__(self, steps: int, console: Console, *, live: bool, silent: bool) -> None:
        self.steps, self.console, self.live, self.silent = steps, console, live, silent
        self._display: Live | None = None
        self._speed, self._at, self._members, self._diverged = 0.0, 0, 0, 0
        self._units, self._seconds = 0.0, 0.0
        self._score, self._printed, self._windows = "", -np.inf, 0
        self._unit, self._scale, self._name = "steps", 1, "score"

    def on_start(self, population: Any, step: int) -> None:
        """Note the population and the starting step."""
        learner = population.learner
        self._members, self._at = len(population), step
        self._unit, self._scale, self._name = learner.unit, learner.units_per_step, learner.score

    def on_window(self, window: Window) -> None:
        """Update the display; the speed is an exponentially weighted mean over windows."""
        units = (window.step - self._at) * self._scale * self._members
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
        """Update the interquartile mean over all members."""
        values = evaluation.metrics.get(self._name)
        finite = values[np.isfinite(values)] if values is not None else np.empty(0)
        if len(finite):
            i = bootstrap_interval(finite, resamples=300)
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

    def _show(self, force: bool = False) -> None:
        if self.silent:
            return
        if self.live:
            if self._display is None:
                self._display = Live(console=self.console, refresh_per_second=4, transient=True)
                self._display.start()
            self._display.update(self._table())
        elif force or time.perf_counter() - self._printed > _PLAIN_SECONDS:
            self._printed = time.perf_counter()
            self.console.print("  ".join(self._parts()), highlight=False, markup=False, soft_wrap=True)

    def _parts(self) -> list[str]:
        parts = [
            f"{self._members} members",
            f"step {self._at:,} of {self.steps:,}",
            f"{self._speed:,.0f} {self._unit}/s",
        ]
        if self._score:
            parts.append(self._score)
        if self._speed:
            left = (self.steps - self._at) * self._scale * self._members / self._speed
            parts.append(f"{int(left) // 60}:{int(left) % 60:02d} left")
        if self._diverged:
            parts.append(f"{self._diverged} diverged")
        return parts

    def _table(self) -> Table:
        share = self._at / self.steps
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


@contextmanager
def progress(silent: bool, steps: int) -> Iterator[Progress]:
    """Yield a display that suits standard output."""
    console = Console(stderr=False, quiet=silent)
    display = Progress(steps, console, live=sys.stdout.isatty() and not silent, silent=silent)
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
