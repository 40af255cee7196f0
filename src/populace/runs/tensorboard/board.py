"""TensorBoard: event files of a run, one TensorBoard run per setting, written while it trains.

Each setting shows the interquartile mean of its members with the bounds of its interval, its
members' own curves, its settings as hparams, the graph of its model, and histograms of its weights at
checkpoints.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
from numpy.typing import ArrayLike

from populace.core.formatting import format_value
from populace.core.learner import Learner
from populace.core.media import Image
from populace.core.population import Population
from populace.core.random import root_key
from populace.engine.callbacks import Callback, Evaluation, Window
from populace.engine.hosts import fetch, is_writer
from populace.engine.programs.compiled import EXHIBIT
from populace.engine.training_loop import Engine
from populace.runs.tensorboard.event_file import EventFile
from populace.runs.tensorboard.model_graph import model_graph
from populace.statistics import bootstrap_interval, interquartile_mean, worst_of

MEMBERS_SHOWN = 64
SETTINGS_SHOWN = 64
_SECONDS_APART = 2.0


class TensorBoard(Callback):
    """Writes what TensorBoard reads while an engine trains.

    Args:
        folder: of the event files.
        engine: who is listened to.
        start: step the run resumes from; later events of an interrupted run are purged.
        log: is told when there is more than is drawn.
        earlier: scores that were evaluated before the start, of a run that resumes.

    """

    def __init__(
        self,
        folder: Path,
        engine: Engine,
        start: int,
        log: Callable[[str], None],
        earlier: ArrayLike = (),
    ) -> None:
        self._engine, self._population = engine, engine.population
        population = self._population
        self._scale = {m.setting: u for m, u in zip(population.members, population.units_per_step)}
        self._start = start
        self._folder, self._written = folder, 0.0
        self._worst = worst_of(earlier, population.learner.mode)
        self._shown = range(min(len(population.settings), SETTINGS_SHOWN))
        if len(population.settings) > SETTINGS_SHOWN or len(population) > MEMBERS_SHOWN:
            log(
                f"TensorBoard shows the first {SETTINGS_SHOWN} settings and {MEMBERS_SHOWN} members; "
                "the metric tables hold all"
            )
        self._stated: dict[int, Mapping[str, float]] = {}
        self._members = defaultdict(list)
        for member in population.members:
            self._members[member.setting].append(member)
        self._writers = {setting: self._open(setting) for setting in self._shown if is_writer()}

    def on_start(self, population: Population, step: int) -> None:
        """Write the graph of each setting's model; a run that resumes has it already."""
        if self._start:
            return
        for group_state in self._engine.group_states:
            models = group_state.program.models(group_state.state())
            drawn = set()
            for slot, member in enumerate(group_state.group.members):
                if member.setting in drawn or member.setting not in self._shown:
                    continue
                drawn.add(member.setting)
                model = group_state.program.signature.whole_model(group_state.program.take(models, slot))
                if writer := self._writers.get(member.setting):
                    writer.add(graph_def=model_graph(model).SerializeToString())

    def on_window(self, window: Window) -> None:
        """Write training curves: the interquartile mean of each setting, once in a while.

        TensorBoard draws a thousand points at the most, and its writer is slow: the metric tables
        hold every window.
        """
        now = time.perf_counter()
        if now - self._written > _SECONDS_APART:
            self._written = now
            self._means("train", window.step, window.metrics)

    def on_evaluation(self, evaluation: Evaluation) -> None:
        """Write evaluation curves, the score with its bounds and member by member.

        In the score of a setting, a member that diverged counts as what its learner states, or else as the
        worst score that any member reached so far: what an untrained model scores is measured at the end
        only. Other metrics are those of the members that still train.
        """
        score = self._population.learner.score
        others = {k: v for k, v in evaluation.metrics.items() if k != score}
        self._means("evaluation", evaluation.step, others)
        column = evaluation.metrics[score]
        mode = self._population.learner.mode
        self._worst = worst_of(np.append(column, self._worst), mode)
        for setting, writer in self._writers.items():
            at, members = evaluation.step * self._scale[setting], self._members[setting]
            values = column[[m.index for m in members]]
            floor = self._floors(setting).get(score, self._worst)
            counted = np.where(np.isfinite(values), values, floor)
            if np.isnan(counted).any():
                continue
            interval = bootstrap_interval(counted, seed=self._population.seed)
            for bound in ("value", "low", "high"):
                name = f"evaluation/{score}/{'iqm' if bound == 'value' else bound}"
                writer.scalar(name, getattr(interval, bound), at)
            for member, value in zip(members, values):
                if member.index < MEMBERS_SHOWN and np.isfinite(value):
                    writer.scalar(f"evaluation/{score}/seed-{member.seed}", float(value), at)

    def _floors(self, setting: int) -> Mapping[str, float]:
        """Return what a learner states that its diverged members score."""
        if setting not in self._stated:
            first = next((m.index for m in self._members[setting] if self._engine.is_here(m.index)), None)
            if first is None:  # all of them are another process's
                learner = self._population.learner_of(setting)
            else:
                learner = self._engine.find(first)[0].program.learner
            self._stated[setting] = learner.floors()
        return self._stated[setting]

    def histograms(self) -> None:
        """Write histograms of every weight, over the members of each setting that are finite.

        Of several processes, these are the members of the first one.
        """
        for group_state in self._engine.group_states:
            models = eqx.filter(group_state.program.models(group_state.state()), eqx.is_inexact_array)
            alive = fetch(group_state.carry.diverged_at) < 0
            sound: defaultdict[int, list[int]] = defaultdict(list)
            for slot, member in enumerate(group_state.group.members):
                if alive[slot] and member.setting in self._writers:
                    sound[member.setting].append(slot)
            for path, leaf in jax.tree_util.tree_leaves_with_path(models):
                values, name = fetch(leaf), "weights/" + _tag(path)
                for setting, slots in sound.items():
                    step = self._engine.step * self._scale[setting]
                    self._writers[setting].histogram(name, values[slots].ravel(), step)

    def log_artifacts(self) -> None:
        """Write what the learner shows of the first sound member of each setting."""
        if type(self._population.learner).log_artifacts is Learner.log_artifacts:
            return
        for setting in self._shown:
            step = self._engine.step * self._scale[setting]
            for member in self._members[setting]:
                if not self._engine.is_here(member.index):
                    continue
                group_state, slot = self._engine.find(member.index)
                if fetch(group_state.carry.diverged_at)[slot] >= 0:
                    continue
                model = group_state.program.take(group_state.program.models(group_state.state()), slot)
                learner = self._population.learner_of(setting)
                key = jax.random.fold_in(root_key(member.seed), EXHIBIT)
                writer = self._writers.get(setting)
                if writer is None:
                    break
                shown = learner.log_artifacts(group_state.program.signature.whole_model(model), key)
                for name, value in shown.items():
                    if isinstance(value, Image):
                        writer.image(name, value.image, step)
                    elif np.isfinite(value).all():
                        writer.histogram(name, np.ravel(value), step)
                break

    def flush(self) -> None:
        """Hand everything to the disk."""
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()

    def _open(self, setting: int) -> EventFile:
        from tensorboardX.summary import hparams

        folder = self._folder / f"setting-{setting:03d}"
        purge = self._start * self._scale[setting] + 1 if self._start else None
        writer = EventFile(folder, purge)
        values = {path: _hparam(v) for path, v in self._population.settings[setting].items()}
        tag = f"evaluation/{self._population.learner.score}/iqm"
        for summary in hparams(values, {tag: 0.0}):
            writer.add(summary=summary)
        return writer

    def _means(self, kind: str, step: int, metrics: dict[str, np.ndarray]) -> None:
        """Write interquartile means, all settings of a metric at a time: this runs in every window."""
        shape = (len(self._population.settings), len(self._population.seeds))
        for name, column in metrics.items():
            table = column.reshape(shape)[: len(self._writers)]
            whole = np.isfinite(table).all(axis=1)
            means = np.full(len(table), np.nan)
            if whole.any():
                means[whole] = interquartile_mean(table[whole], axis=1)
            for row in np.flatnonzero(~whole & np.isfinite(table).any(axis=1)):
                means[row] = interquartile_mean(table[row][np.isfinite(table[row])])
            for setting, writer in self._writers.items():
                if np.isfinite(means[setting]):
                    at = step * self._scale[setting]
                    writer.scalar(f"{kind}/{name}/iqm", float(means[setting]), at)


def _tag(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _hparam(value: Any) -> Any:
    """Return a value as TensorBoard takes a hyperparameter: a number or text."""
    return value if isinstance(value, bool | int | float | str) else format_value(value)
