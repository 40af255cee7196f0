"""What a run folder holds before the first step: a recipe that leaves nothing open, and where it runs."""

import json
from types import SimpleNamespace
from typing import Any

from populace.runs.folder import FORMAT
from populace.runs.provenance import version
from populace.runs.recipe.options import Options
from populace.runs.recipe.recipe import Recipe
from populace.runs.run import Run
from populace.runs.training.head import write_head
from tests.learners import Quadratic


def group_state(strategy: str, devices: int) -> Any:
    program = SimpleNamespace(placement=SimpleNamespace(devices=[None] * devices), learner=Quadratic())
    return SimpleNamespace(choice=SimpleNamespace(strategy=strategy), program=program)


def written(folder: Any, *states: Any) -> Recipe:
    """Return the recipe that a folder is begun with by groups of these states."""
    options = Options(steps=10, samples=3, strategy="auto")
    recipe = Recipe("drawn", Quadratic(), {"fuse": {"uniform": [20.0, 30.0]}}, options=options)
    strategies = [state.choice.strategy for state in states]
    population = recipe.population()
    engine: Any = SimpleNamespace(group_states=states, population=population, strategies=strategies)
    write_head(folder, recipe, engine)
    found = Run(folder).recipe
    assert found.population().settings == recipe.population().settings
    return found


def test_what_was_chosen_and_drawn_is_written_out(tmp_path):
    found = written(tmp_path, group_state("map", 1), group_state("map", 2))
    assert (found.options.strategy, found.options.devices) == ("map", 2)
    assert (found.options.samples, found.sweep, len(found.settings)) == (None, {}, 3)
    environment = json.loads((tmp_path / "environment.json").read_text())
    assert (environment["format"], environment["populace"]) == (FORMAT, version())


def test_groups_of_several_strategies_keep_theirs(tmp_path):
    found = written(tmp_path, group_state("map", 1), group_state("vmap", 1))
    assert found.options.strategy == ["map", "vmap"]
