"""Conclusion: what came out of a run is measured, and written down as `results.json`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from populace.core.imports import by_path
from populace.engine.callbacks import Columns
from populace.engine.training_loop import Engine
from populace.runs import provenance, results
from populace.runs.folder import keep_json
from populace.runs.metric_tables import read
from populace.runs.outcome import costs, held_out, winners_schedule
from populace.runs.outcome.scores import measured
from populace.runs.recipe.recipe import Recipe


def conclude(
    folder: Path,
    recipe: Recipe,
    engine: Engine,
    log: Callable[[str], None],
    *,
    done: bool,
    externally: bool,
    wall: Callable[[], float],
    resumed: int,
    fresh: Columns | None = None,
) -> None:
    """Measure the outcome where training got to its end; write results.

    Args:
        folder: of the run.
        recipe: what was trained, and how.
        engine: as training has left it.
        log: told in words what is measured.
        done: whether training got to its end.
        externally: whether the best setting is measured outside the program too.
        wall: returns the seconds that the run has taken so far, all sittings together.
        resumed: how many times it was resumed.
        fresh: what the final evaluation measured of all members, where all processes did that together.

    """
    options, population = recipe.options, engine.population
    scores = measured.collect(engine, read(folder / "metrics", "evaluation"))
    measured.complete(scores, engine, folder, options)
    best = results.choose(population, scores)
    learner = engine.group_states[0].program.learner
    test_description = learner.test_description(options.final_evaluation_size)
    caveats: list[str] = []
    if done and learner.independent_test is not None:
        if fresh is None:
            log(f"measuring every member on {test_description}")
            fresh = measured.final_evaluation(engine, options.final_evaluation_size)
        scores.metrics = fresh
        own = list(population.members_of(best))
        caveats = learner.caveats({name: column[own] for name, column in scores.metrics.items()})
        scores.test = scores.metrics.pop(population.learner.score)
    if done:
        settings = results.bests(population, scores).values()
        scores.held_out = held_out.measured(engine, settings, scores.floors)
        if externally:
            measured.evaluate_externally(engine, scores, best, options.final_evaluation_size, log)
    swept = done and len(population.settings) > 1
    prices = costs.measured(engine, engine.training_seconds) if swept else None
    about = _trained(recipe, engine, done, wall(), resumed) | {
        "costs": prices,
        "test_description": test_description,
        "independent_test": learner.independent_test,
        "caveats": caveats,
        "together": [list(names) for names in learner.together],
    }
    if done and options.confirm and len(population.settings) == 1:
        about["confirmation"] = None  # nothing was chosen
    table = results.table(population, scores, best, options.final_evaluation_size, about)
    if done:
        winners_schedule.keep(folder, recipe, population, table)
    keep_json(folder, "results.json", table)


def _trained(recipe: Recipe, engine: Engine, done: bool, wall: float, resumed: int) -> dict[str, Any]:
    """Return what was trained, by what, for how long, and how it ended."""
    options, control = recipe.options, engine.control
    ended = control.stopped_at()
    per_step = engine.population.units_per_step
    units = sum(ended.get(member, engine.step) * each for member, each in enumerate(per_step))
    return {
        "populace": provenance.version(),
        "name": recipe.name,
        "about": recipe.about,
        "status": "finished" if done else "stopped",
        "command": provenance.command(),
        "learner": by_path.path_of(type(recipe.learner)),
        "steps": engine.step,
        "steps_total": options.steps,
        "stopped_early": {"step": engine.step, "reason": control.stop} if control.stop else None,
        "decisions": control.decisions,
        "checkpoint_selection": options.checkpoint_selection,
        "start_weights": bool(options.start_from),
        "strategy": [
            {
                "members": len(c.group.members),
                "strategy": c.choice.strategy,
                "width": c.program.width,
                "devices": len(c.program.placement.devices),
                "why": c.choice.why,
                "seconds_per_step": c.choice.seconds_per_step,
            }
            for c in engine.group_states
        ],
        "timing": {
            "wall_s": wall,
            "train_s": engine.training_seconds,
            "units_per_s": units / max(engine.training_seconds, 1e-9),
            "resumed": resumed,
        },
    }
