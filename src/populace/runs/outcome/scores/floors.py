"""Floors: what a member that diverged scores, whatever the other members reached.

Left out, or scored as the worst of the run, diverged members would cost nothing where all others do well,
and a setting's score would depend on the other settings. So each counts as what its learner states, or as
the model that it began with.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from populace.engine.group_state import GroupState
from populace.engine.training_loop import Engine
from populace.runs.outcome.scores.tasks import Task

Floors = list[dict[str, float]]
"""By setting: metric to the score of a member that diverged."""


def measured(
    engine: Engine, tasks: list[Task], size: int, tensors: Mapping[str, Any] | None = None
) -> Floors:
    """Return the floors, measuring untrained models where a setting has diverged members and states nothing.

    It is the mean over the setting's seeds of the final evaluation, of models as they were before the first
    step.

    Args:
        engine: trained.
        tasks: of each setting, with what its learner states.
        size: of the final evaluation.
        tensors: weights that all members started from, if there are any.

    """
    found = [dict(task.floors) for task in tasks]
    diverged = engine.diverged_at() >= 0
    of = engine.population.members_of
    wanted = [s for s, stated in enumerate(found) if not stated and diverged[of(s)].any()]
    if not wanted:
        return found
    collected = []
    for trained in engine.group_states:
        fresh = GroupState(trained.program, trained.choice)
        if tensors is not None:
            fresh.start_from(tensors)
        model = trained.program.models(fresh.carry.state)
        collected.append(trained.program.test(model, size, 0))
    columns = engine.columns(collected)
    for setting in wanted:
        for name, column in columns.items():
            own = column[of(setting)]
            if np.isfinite(own).any():
                found[setting][name] = float(own[np.isfinite(own)].mean())
    return found
