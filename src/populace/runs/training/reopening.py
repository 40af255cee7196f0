"""Reopening: the engine of a run as its newest checkpoint left it; nothing is trained or compiled."""

from pathlib import Path

from populace.core.errors import RunError
from populace.core.population import Population
from populace.engine.training_loop import Engine
from populace.runs.folder import resuming
from populace.runs.integrity import continuity, learner_files
from populace.runs.recipe.recipe import Recipe
from populace.runs.training import untrained


def engine_of(folder: Path, recipe: Recipe, population: Population) -> Engine:
    """Return the engine of a run with everything that its newest checkpoint holds.

    Raises:
        RunError: there is no checkpoint, or the newest is damaged.
        UsageError: what the run depends on, or the files of its learner, are not what they were.

    """
    from populace.runs.checkpoints import Checkpoints

    engine = untrained.engine_of(recipe, population, untrained.quiet)
    store = Checkpoints(folder / "checkpoints", recipe.options.checkpoints_kept)
    try:
        info = store.restore(engine, untrained.quiet, newest=True)
        if info is None:
            raise RunError(f"'{folder}' has no checkpoint yet", resuming(folder))
        continuity.check(folder, info)
        learner_files.check(folder, engine.learners)
    finally:
        store.close()
    return engine
