"""Ask and tell: a study of Optuna proposes settings, and each batch of them is trained as one population.

A study has `ask`, `tell`, `get_trials` and `directions`. Optuna is not imported here: the caller has made it.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from populace.core.errors import UsageError
from populace.core.learner import Learner
from populace.core.population import sweep
from populace.core.swept import Axes, LogUniform, Setting, Uniform
from populace.core.untrusted.shown import shown
from populace.runs.run import Run
from populace.runs.training.launch import train
from populace.runs.training.untrained import Log, quiet

FOLDER = "populace_folder"
"""Attribute of a trial: the run folder that it is a setting of."""
_PLAIN = (bool, int, float, str, type(None))


def optimize(
    study: Any, learner: Learner, axes: Axes, steps: int, *, trials: int, batch: int = 16,
    seeds: int | Sequence[int] = 1, out: str | Path = "runs/study", log: Log = quiet, **options: Any,
) -> list[Run]:  # fmt: skip
    """Let a study of Optuna search the settings of a learner, a batch of trials per compiled population.

    Every batch is a run folder of its own under `out`. A trial is told the interquartile mean over the seeds
    of its setting's validation score; where all members diverged, the trial has failed. Trials of a batch
    that make the same setting are trained once. Trials that a study with a storage was asked for, and was
    never told of, are finished first: their run is resumed, so that a search goes on where it was killed.

    The best of many validation scores is too good. The test score in the run of the best trial is fresh, but
    of seeds that took part in choosing it; train the setting anew on other seeds for what you report.

    Args:
        study: made by `optuna.create_study(direction=...)`, with the direction of the learner's `mode`.
        learner: settings that are not searched stay as they are here.
        axes: dotted path to a list of values, a [`Uniform`][populace.core.swept.Uniform] or a
            [`LogUniform`][populace.core.swept.LogUniform] range.
        steps: iterations of each member.
        trials: how many in all, those that the study has already finished not counted.
        batch: trials that are asked for and trained at a time. A larger one trains more at once; a smaller
            one lets the study learn more often.
        seeds: how many of each setting, or which.
        out: folder of the run folders.
        log: told in words what happens.
        options: of [`train`][populace.runs.training.launch.train].

    Returns:
        the runs, oldest first.

    Raises:
        UsageError: a study of several objectives or of the other direction, no trials, an axis that is empty,
            or what `sweep` and `train` refuse.

    """
    _check(study, learner, axes, trials, batch)
    space = {path: _Axis(path, values) for path, values in axes.items()}
    begun: dict[str, list[Any]] = {}
    for trial in study.get_trials(deepcopy=False):
        if trial.state.name == "RUNNING" and FOLDER in trial.user_attrs:
            begun.setdefault(trial.user_attrs[FOLDER], []).append(trial)
    runs = [
        _trained(study, learner, space, own, Path(folder), steps, seeds, log, options)
        for folder, own in begun.items()
    ]
    left = trials - sum(map(len, begun.values()))
    while left > 0:
        asked = [study.ask() for _ in range(min(batch, left))]
        folder = Path(out) / f"trials-{asked[0].number:04d}-{asked[-1].number:04d}"
        for trial in asked:
            for axis in space.values():
                axis.suggest(trial)
            trial.set_user_attr(FOLDER, str(folder))
        runs.append(_trained(study, learner, space, asked, folder, steps, seeds, log, options))
        left -= len(asked)
    return runs


class _Axis:
    """A swept setting as a study knows it: a range, or names of values."""

    def __init__(self, path: str, values: Sequence[Any] | Uniform) -> None:
        self.path, self.values = path, values
        self.names: dict[Any, Any] = {}
        if not isinstance(values, Uniform):
            plain = all(isinstance(value, _PLAIN) for value in values)
            self.names = {value if plain else str(value): value for value in values}

    def suggest(self, trial: Any) -> None:
        if isinstance(self.values, Uniform):
            log = isinstance(self.values, LogUniform)
            trial.suggest_float(self.path, self.values.low, self.values.high, log=log)
        else:
            trial.suggest_categorical(self.path, list(self.names))

    def value(self, params: dict[str, Any]) -> Any:
        found = params[self.path]
        return found if isinstance(self.values, Uniform) else self.names[found]


def _trained(
    study: Any, learner: Learner, space: dict[str, _Axis], asked: list[Any], folder: Path, steps: int,
    seeds: int | Sequence[int], log: Log, options: dict[str, Any],
) -> Run:  # fmt: skip
    """Train the settings of trials, or go on with their run, and tell the study what came out."""
    settings: list[Setting] = []
    keys: dict[tuple[Any, ...], int] = {}
    places = []
    for trial in asked:
        setting = {path: axis.value(trial.params) for path, axis in space.items()}
        # Two settings that float32 makes the same are one: a sweep refuses to train a member twice.
        key = tuple(repr(np.float32(v)) if isinstance(v, float) else repr(v) for v in setting.values())
        places.append(keys.setdefault(key, len(settings)))
        if len(keys) > len(settings):
            settings.append(setting)
    log(f"trials {asked[0].number} to {asked[-1].number}: {len(settings)} settings in '{folder}'")
    if folder.exists():
        run = Run.load(folder, learner).resume(log=log)
    else:
        run = train(sweep(learner, settings, seeds=seeds), steps, out=folder, log=log, **options)
    results = run.results()
    entries = {entry["setting"]: entry for entry in results["settings"]}
    sound = {m["setting"] for m in results["members"] if m.get("diverged_at") is None}
    for trial, place in zip(asked, places):
        value = ((entries[place].get("validation") or {}).get("iqm") or [None])[0]
        if value is None or not math.isfinite(value) or place not in sound:
            study.tell(trial.number, state=_failed(study))
        else:
            study.tell(trial.number, float(value))
    return run


def _failed(study: Any) -> Any:
    """Return the state of a failed trial, as the study's own trials spell it."""
    kind = type(study.get_trials(deepcopy=False)[0].state)
    return kind.FAIL


def _check(study: Any, learner: Learner, axes: Axes, trials: int, batch: int) -> None:
    directions = [d.name.lower() for d in getattr(study, "directions", ())]
    wanted = "maximize" if learner.mode == "max" else "minimize"
    if len(directions) != 1:
        raise UsageError(
            f"a study of one objective is needed, the {learner.score}; this one has {len(directions)}"
        )
    if directions[0] != wanted:
        raise UsageError(
            f"the study is to {directions[0]}, and the {learner.score} is better the "
            f"{'higher' if wanted == 'maximize' else 'lower'} it is; create_study(direction='{wanted}')"
        )
    for name, value in (("trials", trials), ("batch", batch)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UsageError(f"{name} must be a whole number of at least 1, got {shown(value)}")
    if not axes:
        raise UsageError("axes are empty; name a setting to search and its values")
    for path, values in axes.items():
        if not isinstance(values, Uniform) and not len(values):
            raise UsageError(f"the list of '{path}' is empty; give it values, or a range")
