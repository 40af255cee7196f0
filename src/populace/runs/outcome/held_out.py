"""What the best settings' scores owe to which examples are in the test part."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from populace.engine.training_loop import Engine
from populace.statistics import HeldOut, held_out_intervals


def measured(engine: Engine, settings: Iterable[int], floors: list[dict[str, float]]) -> dict[int, HeldOut]:
    """Return the intervals over examples of some settings, those whose learner scores examples one by one.

    Args:
        engine: trained.
        settings: by index.
        floors: by setting, what a diverged member counts as: on every example alike.

    """
    population = engine.population
    diverged, found = engine.diverged_at() >= 0, {}
    for setting in settings:
        rows = []
        members = [m.index for m in population.members if m.setting == setting]
        for index in sorted(members, key=lambda i: bool(diverged[i])):
            if diverged[index]:
                floor = floors[setting].get(population.learner.score) if floors else None
                row = None if floor is None or not rows else np.full_like(rows[0], floor)
            else:
                group_state, slot = engine.find(index)
                row = group_state.program.learner_of(slot).example_scores(group_state.best_model(slot))
            if row is None:
                break
            rows.append(row)
        intervals = held_out_intervals(rows, seed=population.seed) if len(rows) == len(members) else None
        if intervals is not None:
            found[setting] = intervals
    return found


def entry(found: HeldOut | None) -> dict[str, Any]:
    """Return what `results.json` adds to the test summary of a setting; nothing where it was not measured."""
    if found is None:
        return {}
    both = None if found.both is None else found.both.as_list()
    about = {"size": found.size, "over_examples": found.examples.as_list(), "over_seeds_and_examples": both}
    return {"examples": about}
