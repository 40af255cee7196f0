"""The schedule of a winner of population-based training, as a recipe that trains it alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from populace.core import swept
from populace.core.files import write
from populace.core.population import Population
from populace.runs.recipe.kinds import controller_of
from populace.runs.recipe.recipe import Recipe
from populace.runs.weights import start

FILE = "winner.toml"


def keep(folder: Path, recipe: Recipe, population: Population, results: dict[str, Any]) -> None:
    """Write the recipe of the best member of all populations, if each seed is one.

    Members that exchanged across seeds took over states that other random keys made: no single member trains
    like that, and nothing is written.
    """
    populations = results["populations"]
    if populations is None or populations["of"] != "seed":
        (folder / FILE).unlink(missing_ok=True)
        return
    write(folder / FILE, winner_recipe(recipe, population, results).text())


def winner_recipe(recipe: Recipe, population: Population, results: dict[str, Any]) -> Recipe:
    """Return a recipe that trains one member by the settings that led to the winner's kept model.

    It ends at the evaluation by which that model was kept, and keeps its last one: the same.
    """
    found = results["populations"]
    member = found["winner"]
    kept_at = results["members"][member]["validation"]["step"]
    first, *later = found["history"]
    changes = [
        f"{segment['step']} {path} {float(value)!r}"
        for before, segment in zip([first, *later], later)
        for path, value in segment["settings"].items()
        if value != before["settings"][path]
    ]
    old = recipe.options
    update = {
        "steps": kept_at,
        "checkpoint_selection": "last",
        "seeds": [population.members[member].seed],
        "seed": population.seed,
        "samples": None,
        "sampling": "random",
        "confirm": 0,
        "strategy": "map",
        "log_every": old.window(len(population)),
        "evaluate_every": old.evaluation_window,
        "start_from": start.FILE if old.start_from else "",
    }
    return replace(
        recipe,
        name=f"{recipe.name}, its winner",
        about="the winner of population-based training, trained alone by its schedule of settings",
        learner=swept.applied(recipe.learner, first["settings"]),
        sweep={},
        settings=[],
        options=old.model_copy(update=update),
        controller=controller_of({"kind": "schedule", "changes": changes}),
    )
