"""Extension: a run that has ended, or was stopped, is asked for more steps."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from populace.core.errors import UsageError
from populace.core.population import Population
from populace.runs.folder import read_json, without_end
from populace.runs.recipe.options import options
from populace.runs.recipe.parsing import foreign_modules
from populace.runs.recipe.recipe import Recipe
from populace.runs.weights import start


def check(folder: Path, recipe: Recipe, population: Population, steps: int) -> bool:
    """Return whether so many steps in all are more than the run was asked for.

    Raises:
        UsageError: they are fewer, more than can be counted, or the run was ended by its controller.

    """
    old = recipe.options
    options(old.model_dump() | {"steps": steps})
    if steps < old.steps:
        raise UsageError(
            f"'{folder}' was asked for {old.steps:,} steps, and only more can be added; got {steps:,}"
        )
    if steps == old.steps:
        return False
    population.check_steps(steps)
    early = None
    if (folder / "results.json").is_file():
        early = read_json(folder, "results.json", "the run has not ended").get("stopped_early")
    if early:
        raise UsageError(
            f"'{folder}' was ended by its controller at step {early['step']:,} ({early['reason']}); "
            "more steps would train nothing"
        )
    return True


def extend(folder: Path, recipe: Recipe, members: int, steps: int) -> None:
    """Write a recipe of more steps, and remove what described the old end.

    Intervals that followed from the number of steps stay as they were.
    """
    old = recipe.options
    changed = options(old.model_dump() | {"steps": steps})
    update: dict[str, Any] = {"log_every": old.window(members), "evaluate_every": old.evaluation_window}
    if old.start_from:
        update["start_from"] = start.FILE  # as it is called there, beside the recipe
    text = replace(recipe, options=changed.model_copy(update=update)).text()
    without_end(folder, text, foreign_modules(text))
