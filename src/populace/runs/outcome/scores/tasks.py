"""Tasks: what each setting of a run is measured on. Scores of different tasks are never ranked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from populace.core.learner import Learner
from populace.core.population import Population
from populace.runs import fingerprint


@dataclass(frozen=True)
class Task:
    """What a setting is measured on.

    Attributes:
        name: for people: an environment, a data set.
        identity: equal for two runs if their scores can be compared: the environment, or a digest of the
            data.
        score_threshold: the score that counts as solved.
        floors: what its learner states that a diverged member scores, by metric.
        floor_description: what that is, in words.
        test_to_train: test over training examples of folds; 0 where seeds are independent.

    """

    name: str
    identity: str
    score_threshold: float | None
    floors: dict[str, float]
    floor_description: str
    test_to_train: float = 0.0


def of(population: Population, folder: Path | None = None) -> list[Task]:
    """Return the task of each setting.

    Args:
        population: whose settings.
        folder: of the run, which may hold a digest of the data already.

    """
    found: dict[Any, Task] = {}
    tasks = []
    for index, setting in enumerate(population.settings):
        # Numbers are hyperparameters: no float changes what a learner is measured on.
        structure = repr([(path, value) for path, value in setting.items() if not isinstance(value, float)])
        if structure not in found:
            found[structure] = _task(population.plain_learner_of(index), folder)
        tasks.append(found[structure])
    return tasks


def _task(plain: Learner, folder: Path | None) -> Task:
    learner, kind = plain.load_data(), type(plain).__name__
    name = plain.task_name
    known = "" if name else (folder and fingerprint.noted(folder)) or fingerprint.digest(learner)
    return Task(
        name=name or (f"data {known[:8]}" if known else kind),
        identity=name or known or kind,
        score_threshold=learner.score_threshold,
        floors=dict(learner.floors()),
        floor_description=learner.floor_description,
        test_to_train=learner.test_to_train,
    )
