"""Progress of a run on a display: members, steps, speed, score, time left."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.console import Console

from populace.cli.display import Display, Kind, Part
from populace.core.formatting import count
from populace.engine.callbacks import Callback, Evaluation, Window
from populace.statistics import bootstrap_interval, with_worst

_SECONDS = {"plain": 5.0, "notebook": 0.25, "terminal": 0.0}
"""Least time between two updates."""
_FADING = 0.9


class Progress(Callback):
    """Shows a run while it trains: members, steps, speed, score with interval, time left.

        populace.train(population, steps=10_000, callbacks=[populace.Progress()])

    In a notebook one output of the cell is updated in place, in a terminal one line, which leaves out what
    does not fit. Elsewhere, as in the log of a batch job, a line names each phase before the first step; then
    there is one at most every five seconds, and one at the end.

    Args:
        console: where lines are printed; by default standard output.
        kind: `notebook`, `terminal` or `plain`; by default what this process runs in.
        silent: show nothing.
        display: that has shown earlier phases, in the place of the others.

    """

    follows_confirmation = True

    def __init__(
        self,
        console: Console | None = None,
        *,
        kind: Kind | None = None,
        silent: bool = False,
        display: Display | None = None,
    ) -> None:
        self.display = display or Display(console, kind=kind, silent=silent)
        self._speed, self._at, self._members, self._diverged = 0.0, 0, 0, 0
        self._units, self._seconds = 0.0, 0.0
        self._score, self._shown, self._windows = "", -np.inf, 0
        self._last: list[Part] = []
        self._unit, self._scale, self._name = "steps", 1, "score"
        self._mode: Literal["max", "min"] = "max"

    def on_phase(self, phase: str) -> None:
        """Name the phase."""
        self.display.phase(phase, live=phase == "measuring")  # which a line says too

    def on_start(self, population: Any, step: int) -> None:
        """Note the population and the starting step."""
        learner = population.learner
        self._members, self._at = len(population), step
        self._unit, self._name = learner.unit, learner.score
        self._scale = sum(population.units_per_step)
        self._mode = learner.mode
        self.display.phase("compiling")

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
        self._show(force=self.display.kind == "notebook")

    def log(self, line: str) -> None:
        """Print a line above the display."""
        self.display.line(line)

    def close(self) -> None:
        """Remove the live line."""
        self.display.close()

    def finish(self, folder: Path, results: dict[str, Any]) -> None:
        """Print the results and where they are."""
        self.close()
        if self.display.silent:
            return
        from populace.cli.results import print_results

        print_results(self.display.console, folder, results)

    def on_end(self, step: int) -> None:
        """Leave the last state, but in a terminal, whose live line is taken away."""
        if self.display.kind != "terminal" and self._windows:
            self._show(force=True)
        self.close()

    def _show(self, force: bool = False) -> None:
        now, parts = time.perf_counter(), self._parts()
        if (force and parts != self._last) or now - self._shown > _SECONDS[self.display.kind]:
            self._shown, self._last = now, parts
            self.display.progress(self._at / max(self.steps, 1), parts)

    def _parts(self) -> list[Part]:
        parts = [
            Part(5, count(self._members, "member")),
            Part(0, f"step {self._at:,} of {self.steps:,}"),
            Part(4, f"{self._speed:,.0f} {self._unit}/s"),
        ]
        if self._score:
            parts.append(Part(1, self._score))
        if self._speed:
            left = (self.steps - self._at) * self._scale / self._speed
            parts.append(Part(2, f"{int(left) // 60}:{int(left) % 60:02d} left"))
        if self._diverged:
            parts.append(Part(3, f"{self._diverged} diverged"))
        return parts


class _LogHandler(logging.Handler):
    """Shows the library's log messages, such as downloads, above the display."""

    def __init__(self, shown: Progress) -> None:
        super().__init__(logging.INFO)
        self.shown = shown

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record as a line."""
        self.shown.log(record.getMessage())


@contextmanager
def progress(display: Display) -> Iterator[Progress]:
    """Yield the progress of a run on a display, which also shows what the library logs."""
    shown = Progress(display=display)
    logger, handler = logging.getLogger("populace"), _LogHandler(shown)
    # Another library may have added a handler to the root logger, which would print everything twice.
    before, heard = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield shown
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        logger.propagate = heard
        shown.close()
