"""Untrained: the engine of a recipe, before its first step or a checkpoint."""

from collections.abc import Callable

from populace.core.population import Population
from populace.engine.training_loop import Engine
from populace.runs.recipe.recipe import Recipe

Log = Callable[[str], None]


def quiet(line: str) -> None:
    """Say nothing."""


def engine_of(
    recipe: Recipe, population: Population, log: Log, phase: Log = quiet, *, divided: bool = False
) -> Engine:
    """Return the untrained engine of a recipe; `divided`, of the members that this process trains."""
    o = recipe.options
    selection = o.checkpoint_selection
    return Engine(
        population, o.strategy, o.devices, log, selection, recipe.controller, phase, divided=divided
    )
