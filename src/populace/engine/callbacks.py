"""Callbacks: Python code that follows a run from window to window, and may end it."""

from dataclasses import dataclass

import numpy as np

from populace.core.learner import Learner
from populace.core.population import Population

Columns = dict[str, np.ndarray]
"""Metrics by name, with one entry per member of the population."""


@dataclass(frozen=True)
class Window:
    """A finished stretch of training.

    Attributes:
        step: iterations completed at its end.
        metrics: training metrics of the window, per member; NaN where nothing was measured.
        diverged_at: the step at which each member diverged, or -1.
        seconds: wall time that the window took.

    """

    step: int
    metrics: Columns
    diverged_at: np.ndarray
    seconds: float


@dataclass(frozen=True)
class Evaluation:
    """A periodic evaluation.

    Attributes:
        step: iterations completed when it was made.
        metrics: per member; NaN for members that have diverged or were stopped.
        diverged_at: the step at which each member diverged, or -1.

    """

    step: int
    metrics: Columns
    diverged_at: np.ndarray

    def scores(self, learner: Learner) -> np.ndarray:
        """Return the learner's score per member, higher is better; -inf where it has none."""
        sign = 1.0 if learner.mode == "max" else -1.0
        measured = sign * self.metrics[learner.score]
        return np.where(np.isfinite(measured), measured, -np.inf)


class Callback:
    """Base class of callbacks: every method does nothing until a subclass overrides it.

    A callback sees the run and cannot change its numbers. It may end it: after `stop_training = True`
    the run stops at the end of the window under way, with a checkpoint, and can be resumed. Where several
    processes train the run, callbacks are called in the first of them, and stop it everywhere.

        class Patience(Callback):
            def on_evaluation(self, evaluation):
                self.stop_training = np.nanmax(evaluation.metrics["return"]) > 475

        populace.train(population, steps=10_000, callbacks=[Patience()])
    """

    stop_training: bool = False
    follows_confirmation: bool = False
    """Whether it is told of the confirmation of a run too, which is another population."""
    steps: int = 0
    """Iterations that the run is asked for, known from `on_start` on."""

    def on_phase(self, phase: str) -> None:
        """Do something when `timing strategies` begins, before training, or `measuring`, after it."""

    def on_start(self, population: Population, step: int) -> None:
        """Do something before the first window; `step` is above 0 where a run is resumed."""

    def on_window(self, window: Window) -> None:
        """Do something after a window of training."""

    def on_evaluation(self, evaluation: Evaluation) -> None:
        """Do something after a periodic evaluation."""

    def on_end(self, step: int) -> None:
        """Do something after the last window, be the training complete or stopped."""
