"""The kept models of a run, measured once more than the run itself did."""

from collections.abc import Callable
from typing import Any

import numpy as np

from populace.engine.training_loop import Engine
from populace.runs import results
from populace.runs.outcome.scores import measured
from populace.runs.trained_member import Trained


def measured_again(
    engine: Engine,
    scores: measured.Scores,
    member_of: Callable[[int], Trained],
    size: int,
    backend: str,
    seed: int,
) -> dict[str, Any]:
    """Return what [`Run.evaluate`][populace.runs.run.Run.evaluate] does.

    Args:
        engine: as the newest checkpoint left it.
        scores: of the run, by which its best setting is chosen.
        member_of: the trained member of an index.
        size: of the evaluation, per member.
        backend: `native` for all members inside the program, another for the best setting's outside it.
        seed: of the evaluation.

    Raises:
        UsageError: the learner knows no such backend.

    """
    population = engine.population
    learner, chosen = population.learner, list(range(len(population.settings)))
    if backend == "native":
        found = measured.final_evaluation(engine, size, seed)[learner.score]
    else:
        best = results.choose(population, scores)
        chosen = [best]
        found = np.full(len(population), np.nan)
        for member in population.members:
            if member.setting == best and scores.diverged_at[member.index] < 0:
                start = measured.external_seed(seed, member)
                found[member.index] = member_of(member.index).evaluate(backend, size, start).mean()
    table = [
        {
            "setting": i,
            "values": population.settings[i],
            "members": list(population.members_of(i)),
            "summary": results.summary(population, scores, found, i),
        }
        for i in chosen
    ]
    about = {"backend": backend, "size": size, "unit": learner.evaluation_unit, "mode": learner.mode}
    return about | {"seed": seed, "settings": table}
