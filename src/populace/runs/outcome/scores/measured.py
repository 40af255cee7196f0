"""Scores: what training, the final evaluation, and the world outside measured of every member."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from populace.core.population import Member
from populace.engine import hosts
from populace.engine.training_loop import Engine
from populace.runs.outcome.scores import evaluation_cost, floors, tasks
from populace.runs.outcome.scores.floors import Floors
from populace.runs.outcome.scores.tasks import Task
from populace.runs.recipe.options import Options
from populace.runs.weights import start
from populace.statistics import HeldOut


@dataclass
class Scores:
    """Scores of all members, an entry each; NaN where there is none."""

    validation: np.ndarray
    selection_step: np.ndarray
    last: np.ndarray
    course: np.ndarray
    """Mean over all training-time evaluations: who learned sooner; breaks ties of the best."""
    diverged_at: np.ndarray
    test: np.ndarray | None = None
    metrics: dict[str, np.ndarray] = field(default_factory=dict)
    """What else the final evaluation measured."""
    external: dict[int, float] = field(default_factory=dict)
    backend: str | None = None
    stopped_at: dict[int, int] = field(default_factory=dict)
    """Members that a controller stopped, and the step."""
    decisions: list[dict[str, Any]] = field(default_factory=list)
    """What a controller decided."""
    eliminated: bool = False
    """Whether the members that were stopped had lost."""
    exchange: str = ""
    """Who took over states from whom: the members of one `seed`, `all`, or nobody."""
    evaluation_cost: float | None = None
    """Units that the evaluations during training took, per member on average."""
    floors: Floors = field(default_factory=list)
    """By setting: what a member that diverged scores."""
    tasks: list[Task] = field(default_factory=list)
    """By setting: what it is measured on."""
    held_out: dict[int, HeldOut] = field(default_factory=dict)
    """By setting, the best ones: its intervals over test examples."""


def collect(engine: Engine, evaluations: pa.Table) -> Scores:
    """Return what training itself measured."""
    learner, count = engine.population.learner, len(engine.population)
    sign = 1.0 if learner.mode == "max" else -1.0
    best = sign * engine.gather([c.best.score for c in engine.group_states]).astype(float)
    course, last = np.full(count, np.nan), np.full(count, np.nan)
    if learner.score in evaluations.column_names and evaluations.num_rows:
        values = evaluations[learner.score].to_numpy(zero_copy_only=False).astype(float)
        steps = evaluations["step"].to_numpy()
        times = len(np.unique(steps))
        table = values.reshape(times, count)
        measured = np.isfinite(table)
        total = np.where(measured, table, 0.0).sum(0)
        course = np.divide(total, measured.sum(0), out=course, where=measured.any(0))
        last = table[-1].copy()
        for member in engine.control.stopped_at():
            before = table[measured[:, member], member]
            last[member] = before[-1] if len(before) else np.nan
    return Scores(
        validation=np.where(np.isfinite(best), best, np.nan),
        selection_step=engine.gather([c.best.step for c in engine.group_states]),
        last=last,
        course=course,
        diverged_at=engine.diverged_at(),
        stopped_at=engine.control.stopped_at(),
        decisions=engine.control.decisions,
        eliminated=engine.controller is not None and engine.controller.eliminates,
        exchange=engine.controller.exchange if engine.controller is not None else "",
        evaluation_cost=evaluation_cost.per_member(learner, evaluations, count),
    )


def complete(scores: Scores, engine: Engine, folder: Path, options: Options) -> None:
    """Complete the scores by what each setting is measured on, and what its diverged members count as."""
    tensors = start.read(folder) if options.start_from else None
    scores.tasks = tasks.of(engine.population, folder)
    scores.floors = floors.measured(engine, scores.tasks, options.final_evaluation_size, tensors)


def final_evaluation(engine: Engine, size: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Return what the final evaluation says of every member's best model, NaN for the diverged ones."""
    collected = [c.program.test(c.best.model, size, seed) for c in engine.group_states]
    diverged_at = engine.diverged_at()
    return {
        name: np.where(diverged_at < 0, column, np.nan).astype(float)
        for name, column in engine.columns(collected).items()
    }


def measured_by_all(engine: Engine, options: Options) -> dict[str, np.ndarray] | None:
    """Return the final evaluation, to which each process has measured its own members; None of one alone."""
    if hosts.count() == 1 or engine.group_states[0].program.learner.independent_test is None:
        return None
    return final_evaluation(engine, options.final_evaluation_size)


def evaluate_externally(
    engine: Engine, scores: Scores, setting: int, size: int, log: Callable[[str], None]
) -> None:
    """Measure the members of one setting outside the program, where their learner knows how."""
    for index in engine.population.members_of(setting):
        if scores.diverged_at[index] >= 0:
            continue
        member = engine.population.members[index]
        group_state, slot = engine.find(index)
        learner = group_state.program.learner_of(slot)
        if not (evaluators := learner.external_evaluators()):
            return  # members of a setting differ in numbers alone
        for backend, evaluator in evaluators.items():
            model = group_state.best_model(slot)
            log(f"evaluating member {member.index} in {backend}: {size:,} {learner.evaluation_unit}")
            scores.external[member.index] = float(np.mean(evaluator(model, size, external_seed(0, member))))
            scores.backend = backend


def external_seed(seed: int, member: Member) -> int:
    """Return where the seeds of an evaluation outside the program begin, far from those that training uses.

    Args:
        seed: of the evaluation; the run's own final evaluation is 0.
        member: who is evaluated.

    """
    drawn = np.random.SeedSequence([seed, member.seed]).generate_state(1)
    return 10**6 + int(drawn[0]) % (2**31 - 2 * 10**6)  # Gymnasium's seeds are below 2^31; episodes count up
