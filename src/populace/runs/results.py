"""Results: what came out of a run, per member and per setting, with intervals.

Choosing the best of many is a selection, and the number it was chosen on is biased upward. So the
winner is measured again on fresh episodes, and both numbers are kept.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from populace.core.formatting import plain_or_text
from populace.core.population import Population
from populace.engine.controller import lineage
from populace.runs.folder import FORMAT
from populace.runs.outcome import held_out
from populace.runs.outcome.scores import exchanged
from populace.runs.outcome.scores.made import Made
from populace.runs.outcome.scores.measured import Scores
from populace.statistics import interquartile_mean, performance_profile, summarize, worst_of


def choose(population: Population, scores: Scores) -> int:
    """Return the index of the best setting, by its training-time evaluations alone.

    Of settings that are measured on different tasks, it is the best on the task of the first.
    """
    return next(iter(bests(population, scores).values()))


def bests(population: Population, scores: Scores) -> dict[str, int]:
    """Return the best setting of each task, by the task's identity, in the order of the sweep."""
    return _first_by_task(scores, rank(population, scores))


def _first_by_task(scores: Scores, order: list[int]) -> dict[str, int]:
    where = [task.identity for task in scores.tasks] or [""] * len(order)
    return {task: next(i for i in order if where[i] == task) for task in dict.fromkeys(where)}


def rank(population: Population, scores: Scores) -> list[int]:
    """Return the settings from best to worst, by their training-time evaluations alone.

    Settings that were stopped since they had lost come behind those that trained longer.
    """
    sign = 1.0 if population.learner.mode == "max" else -1.0
    ranked = []
    for index in range(len(population.settings)):
        pair = (_mean(population, scores, values, index) for values in (scores.validation, scores.course))
        lasted = _lasted(population, scores, index) if scores.eliminated else np.inf
        ranked.append((lasted, *(-np.inf if np.isnan(x) else sign * x for x in pair)))
    return sorted(range(len(ranked)), key=ranked.__getitem__, reverse=True)


def _lasted(population: Population, scores: Scores, setting: int) -> float:
    """Return the step at which the last member of a setting ended; infinite where one trained on."""
    diverged = {m: int(at) for m, at in enumerate(scores.diverged_at) if at >= 0}
    return max((scores.stopped_at | diverged).get(m, np.inf) for m in population.members_of(setting))


def _mean(population: Population, scores: Scores, values: np.ndarray, setting: int) -> float:
    """Return the headline that `summary` gives, without its interval."""
    own, diverged, worst = _counted(population, scores, values, setting)
    worst = worst_of(np.where(diverged, np.nan, own), population.learner.mode) if worst is None else worst
    statistic = np.mean if _test_to_train(scores, setting) else interquartile_mean
    return np.nan if np.isnan(worst) and diverged.any() else float(statistic(np.where(diverged, worst, own)))


def _test_to_train(scores: Scores, setting: int) -> float:
    return scores.tasks[setting].test_to_train if scores.tasks else 0.0


def _counted(
    population: Population, scores: Scores, values: np.ndarray, setting: int
) -> tuple[np.ndarray, np.ndarray, float | None]:
    """Return the scores of a setting's members, which have none, and what these count as."""
    members = population.members_of(setting)
    diverged = (scores.diverged_at[members] >= 0) | ~np.isfinite(values[members])
    worst = scores.floors[setting].get(population.learner.score) if scores.floors else None
    return values[members], diverged, worst


def table(
    population: Population, scores: Scores, best: int, size: int, about: dict[str, Any]
) -> dict[str, Any]:
    """Return `results.json`, whose fields docs/run-folder.md describes."""
    learner = population.learner
    settings_table = [_setting(population, scores, i) for i in range(len(population.settings))]
    order = rank(population, scores)
    threshold = scores.tasks[best].score_threshold if scores.tasks else learner.score_threshold
    return about | {
        "format": FORMAT,
        "unit": learner.unit,
        "evaluation_unit": learner.evaluation_unit,
        "units_per_step": learner.units_per_step,
        "evaluation_cost": scores.evaluation_cost,
        "score": {
            "name": learner.score,
            "mode": learner.mode,
            "score_threshold": threshold,
            "floor": scores.tasks[best].floor_description if scores.tasks else "",
        },
        "axes": {p: [plain_or_text(v) for v in values] for p, values in population.axes.items()},
        "settings": settings_table,
        "members": Made(len(population), lambda index: _member(population, scores, index, size)),
        "eliminated": scores.eliminated,
        "populations": exchanged.entry(population, scores, _order(population, scores)),
        "best_by_task": list(_first_by_task(scores, order).values()),
        "best": _best(population, scores, settings_table, best, order),
    }


def _best(
    population: Population, scores: Scores, settings: list[dict[str, Any]], best: int, order: list[int]
) -> dict[str, Any] | None:
    """Return what the run selected; None where all members diverged, for nothing was left to select."""
    if (scores.diverged_at >= 0).all():
        return None
    winner, median = _ends(population, scores, best)
    return {
        "setting": best,
        "member": winner,
        "median_member": median,
        "rival": next((index for index in order if index != best), None),
        **{kind: settings[best][kind] for kind in ("validation", "test", "external")},
    }


def _setting(population: Population, scores: Scores, index: int) -> dict[str, Any]:
    members = list(population.members_of(index))
    task = scores.tasks[index] if scores.tasks else None
    outside = None
    if any(m in scores.external for m in members):
        played = np.full(len(population), np.nan)
        played[list(scores.external)] = list(scores.external.values())
        outside = summary(population, scores, played, index)
    fresh = None
    if scores.test is not None:
        fresh = summary(population, scores, scores.test, index) | held_out.entry(scores.held_out.get(index))
    return {
        "setting": index,
        "values": {path: plain_or_text(v) for path, v in population.settings[index].items()},
        "members": members,
        "units_per_step": population.units_per_step[members[0]],
        "diverged": int((scores.diverged_at[members] >= 0).sum()),
        "floor": scores.floors[index] if scores.floors else {},
        "task": {"name": task.name, "identity": task.identity} if task else None,
        "validation": summary(population, scores, scores.validation, index),
        "test": fresh,
        "external": outside,
    }


def _member(population: Population, scores: Scores, index: int, size: int) -> dict[str, Any]:
    member, at = population.members[index], int(scores.diverged_at[index])
    outside = None
    if index in scores.external:
        outside = {
            "score": scores.external[index], "size": size, "backend": scores.backend,
        }  # fmt: skip
    fresh = None
    if scores.test is not None:
        fresh = {
            "score": _number(scores.test[index]),
            "size": size if population.learner.evaluation_unit else None,
            "metrics": {name: _number(column[index]) for name, column in scores.metrics.items()},
        }
    return {
        "member": index,
        "setting": member.setting,
        "seed": member.seed,
        "diverged_at": at if at >= 0 else None,
        "stopped_at": scores.stopped_at.get(index),
        "lineage": lineage(scores.decisions, index),
        "validation": {
            "score": _number(scores.validation[index]),
            "step": int(scores.selection_step[index]),
        },
        "last": {"score": _number(scores.last[index])},
        "test": fresh,
        "external": outside,
    }


def summary(population: Population, scores: Scores, values: np.ndarray, setting: int) -> dict[str, Any]:
    """Summarize one setting; a diverged member counts as its floor, whatever other settings reached.

    The headline is the interquartile mean, or of folds their mean, as every example is to count once.
    `success_rate` is the share of members that did not diverge and, where the score has a threshold, reached
    it.
    """
    learner = population.learner
    own, diverged, worst = _counted(population, scores, values, setting)
    folded = _test_to_train(scores, setting)
    found = summarize(
        own, diverged, worst=worst, mode=learner.mode, seed=population.seed, test_to_train=folded
    ).as_dict()
    sign = 1.0 if learner.mode == "max" else -1.0
    threshold = scores.tasks[setting].score_threshold if scores.tasks else learner.score_threshold
    solved = ~diverged if threshold is None else ~diverged & (sign * own >= sign * threshold)
    rate = [float(x[0]) for x in performance_profile(solved.astype(float), [0.5])]
    return found | {"success_rate": rate, "headline": "mean" if folded else "iqm"}


def _ends(population: Population, scores: Scores, setting: int) -> tuple[int, int]:
    """Return the best and the median member of a setting, by what they were chosen on."""
    order = _order(population, scores)(population.members_of(setting))
    return order[-1], order[len(order) // 2]


def _order(population: Population, scores: Scores) -> Callable[[Sequence[int]], list[int]]:
    """Return what puts members in order, from the worst to the best."""
    sign = 1.0 if population.learner.mode == "max" else -1.0

    def rank(member: int) -> tuple[float, float]:
        pair = (scores.validation[member], scores.course[member])
        alive = scores.diverged_at[member] < 0
        first, second = (sign * x if alive and np.isfinite(x) else -np.inf for x in pair)
        return first, second

    return partial(sorted, key=rank)


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
