"""Head of a run folder: what is known of a run before its first step."""

from dataclasses import replace
from pathlib import Path

from populace.core.files import write
from populace.core.formatting import plain_or_text
from populace.core.population import Population
from populace.engine import hosts
from populace.engine.training_loop import Engine
from populace.runs import fingerprint, provenance
from populace.runs.folder import FORMAT, keep_json
from populace.runs.integrity import learner_files, record
from populace.runs.recipe.parsing import foreign_modules
from populace.runs.recipe.recipe import Recipe
from populace.runs.weights import start

POPULATION = "population.json"


def write_head(folder: Path, recipe: Recipe, engine: Engine) -> None:
    """Write environment, data, the learner's files and the complete recipe, in one process.

    The strategy is settled from here on, and settings that were drawn at random are written out.
    """
    if not hosts.is_writer():
        return
    chosen = engine.strategies
    settled = chosen[0] if len(set(chosen)) == 1 else chosen
    devices = max(len(c.program.placement.devices) for c in engine.group_states)
    update = {"strategy": settled, "devices": devices}
    if recipe.options.start_from:
        update["start_from"] = start.FILE
    complete = recipe.drawn()
    complete = replace(complete, options=complete.options.model_copy(update=update))
    keep_json(folder, "environment.json", {"format": FORMAT} | provenance.describe())
    fingerprint.keep(folder, recipe.learner)
    learner_files.keep(folder, enumerate(g.learner for g in engine.population.groups))
    text = complete.text()
    record.keep(folder, text, foreign_modules(text))
    _keep_population(folder, complete, engine.population)
    write(folder / "recipe.toml", text)


def _keep_population(folder: Path, recipe: Recipe, population: Population) -> None:
    """Write who is trained, so that nobody needs the learner to see how a run gets on."""
    learner = population.learner
    score = {"name": learner.score, "mode": learner.mode, "score_threshold": learner.score_threshold}
    keep_json(
        folder,
        POPULATION,
        {
            "name": recipe.name,
            "unit": learner.unit,
            "score": score,
            "axes": {path: [plain_or_text(v) for v in values] for path, values in population.axes.items()},
            "settings": [{p: plain_or_text(v) for p, v in one.items()} for one in population.settings],
            "seeds": list(population.seeds),
        },
    )
