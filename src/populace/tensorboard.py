"""TensorBoard: event files of a run, one TensorBoard run per setting, written while it trains.

Each setting shows the interquartile mean of its members with the bounds of its interval, its
members' own curves, its settings as hparams, and histograms of its weights at checkpoints.
"""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from populace.engine import Engine, Evaluation, Window
from populace.population import Population
from populace.statistics import bootstrap_interval, interquartile_mean

MEMBERS_SHOWN = 64
SETTINGS_SHOWN = 64
_RESAMPLES = 500


class TensorBoard:
    """Listens to an engine and writes what TensorBoard reads.

    Args:
        folder: of the event files.
        engine: who is listened to.
        start: step the run resumes from; later events of an interrupted run are purged.
        say: is told when there is more than is drawn.
    """

    def __init__(self, folder: Path, engine: Engine, start: int, say: Callable[[str], None]) -> None:
        self._engine, self._population = engine, engine.population
        population = self._population
        self._scale = population.learner.units_per_step
        self._purge = start * self._scale + 1 if start else None
        self._folder = folder
        self._shown = range(min(len(population.settings), SETTINGS_SHOWN))
        if len(population.settings) > SETTINGS_SHOWN or len(population) > MEMBERS_SHOWN:
            say(
                f"TensorBoard shows the first {SETTINGS_SHOWN} settings and {MEMBERS_SHOWN} members; "
                "the metric tables hold all"
            )
        self._members = defaultdict(list)
        for member in population.members:
            self._members[member.setting].append(member)
        self._writers = {setting: self._open(setting) for setting in self._shown}

    def on_start(self, population: Population, step: int) -> None:
        """Everything about the start was written when the files were opened."""

    def on_window(self, window: Window) -> None:
        """Write training curves."""
        self._write("train", window.step, window.metrics, _RESAMPLES // 5)

    def on_evaluation(self, evaluation: Evaluation) -> None:
        """Write evaluation curves."""
        self._write("evaluation", evaluation.step, evaluation.metrics, _RESAMPLES)

    def histograms(self) -> None:
        """Write histograms of every weight, over the members of each setting that are finite."""
        for cohort in self._engine.cohorts:
            models = eqx.filter(cohort.program.snapshot(cohort.state()), eqx.is_inexact_array)
            alive = np.asarray(cohort.carry.diverged_at) < 0
            for path, leaf in jax.tree_util.tree_leaves_with_path(models):
                values, name = np.asarray(leaf), "weights/" + _tag(path)
                for setting, writer in self._writers.items():
                    slots = [
                        slot
                        for slot, m in enumerate(cohort.group.members)
                        if m.setting == setting and alive[slot]
                    ]
                    if slots:
                        step = self._engine.step * self._scale
                        writer.add_histogram(name, values[slots].ravel(), step)

    def flush(self) -> None:
        """Hand everything to the disk."""
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()

    def _open(self, setting: int) -> Any:
        from tensorboardX import SummaryWriter
        from tensorboardX.summary import hparams

        folder = str(self._folder / f"setting-{setting:03d}")
        writer = SummaryWriter(folder, purge_step=self._purge, max_queue=1000, flush_secs=20)
        values = {path: _plain(v) for path, v in self._population.settings[setting].items()}
        tag = f"evaluation/{self._population.learner.score}/iqm"
        for summary in hparams(values, {tag: 0.0}):
            writer.file_writer.add_summary(summary)
        return writer

    def _write(self, kind: str, step: int, metrics: dict[str, np.ndarray], resamples: int) -> None:
        at, score = step * self._scale, self._population.learner.score
        for setting, writer in self._writers.items():
            members = self._members[setting]
            for name, column in metrics.items():
                values = column[[m.index for m in members]]
                finite = values[np.isfinite(values)]
                if not len(finite):
                    continue
                tag = f"{kind}/{name}"
                if name != score:
                    writer.add_scalar(f"{tag}/iqm", float(interquartile_mean(finite)), at)
                    continue
                interval = bootstrap_interval(finite, resamples=resamples)
                writer.add_scalar(f"{tag}/iqm", interval.value, at)
                writer.add_scalar(f"{tag}/low", interval.low, at)
                writer.add_scalar(f"{tag}/high", interval.high, at)
                for member, value in zip(members, values):
                    if member.index < MEMBERS_SHOWN and np.isfinite(value):
                        writer.add_scalar(f"{tag}/seed-{member.seed}", float(value), at)


def _tag(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str) else str(value)

