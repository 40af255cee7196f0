"""Launch: starts the run of a population or of a recipe, in a folder of its own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from populace.core.errors import UsageError
from populace.core.population import Population
from populace.engine import hosts
from populace.engine.callbacks import Callback
from populace.engine.controller import Controller
from populace.runs.folder import new
from populace.runs.outcome import confirmation
from populace.runs.recipe.options import options
from populace.runs.recipe.recipe import Recipe, of_population
from populace.runs.run import Run
from populace.runs.trained_member import Trained
from populace.runs.training.session import Session
from populace.runs.training.untrained import Log, quiet
from populace.runs.weights import start


def train(
    population: Population,
    steps: int | None = None,
    *,
    out: str | Path | None = None,
    name: str = "run",
    overwrite: bool = False,
    callbacks: Sequence[Callback] = (),
    controller: Controller | None = None,
    start_from: Trained | Mapping[str, Any] | str | Path | None = None,
    log: Log = quiet,
    **settings: Any,
) -> Run:
    """Train a population and return its run.

    Args:
        population: made by [`sweep`][populace.core.population.sweep].
        steps: iterations of each member.
        out: run folder to make; by default a new one under `runs/`.
        name: of the run.
        overwrite: replace a run folder that is there.
        callbacks: told of every window and evaluation; may stop the run.
        controller: decides after each evaluation how the population goes on.
        start_from: weights that all members start from, instead of drawing them by their seeds
            (fine-tuning): arrays by name as `Trained.weights()` returns them, a `Trained`, a PyTorch
            `state_dict`, or the path of a saved member or a `.safetensors` file. Optimizers start afresh;
            settings, such as a dropout rate, stay those of the population.
        log: told in words what happens.
        settings: others of [`Options`][populace.runs.recipe.options.Options]: `strategy`, `log_every`,
            `evaluate_every`, `checkpoint_every`, `checkpoints_kept`, `checkpoint_selection`,
            `final_evaluation_size`, `confirm`, `devices`.

    Raises:
        UsageError: no population, an unknown or impossible setting, or a folder that is there already.
        RunError: the folder cannot be written.

    """
    if not isinstance(population, Population):
        raise UsageError(
            f"train takes a population, got {type(population).__name__}; "
            "make one with populace.sweep(learner, seeds=...)"
        )
    if steps is not None:
        settings["steps"] = steps
    recipe = of_population(name, population, options(settings), controller=controller)
    began_with = start_from if start_from is not None else recipe.options.start_from
    return _launch(recipe, population, out, overwrite, began_with, callbacks, log)


def run_recipe(
    recipe: Recipe,
    out: str | Path | None = None,
    *,
    overwrite: bool = False,
    callbacks: Sequence[Callback] = (),
    log: Log = quiet,
    stop: Callable[[], bool] | None = None,
) -> Run:
    """Run a recipe from its start; as [`train`][populace.runs.training.launch.train] but for its source."""
    population, start_from = recipe.population(), recipe.options.start_from
    return _launch(recipe, population, out, overwrite, start_from, callbacks, log, stop)


def _launch(
    recipe: Recipe,
    population: Population,
    out: str | Path | None,
    overwrite: bool,
    start_from: Any,
    callbacks: Sequence[Callback],
    log: Log,
    stop: Callable[[], bool] | None = None,
) -> Run:
    population.check_steps(recipe.options.steps)
    if recipe.controller is not None:
        ends = recipe.options.steps, recipe.options.evaluation_window
        recipe = replace(recipe, controller=recipe.controller.planned(population, *ends))
    tensors = None
    if start_from is not None and not (isinstance(start_from, str) and not start_from):
        # Before the folder: what does not fit leaves none.
        tensors = start.start_weights(population, start_from)
    with new(out, recipe.name, overwrite) as folder:
        if tensors is not None:
            if hosts.is_writer():
                start.keep(folder, tensors)
            hosts.barrier("the start weights")
            chosen = recipe.options.model_copy(update={"start_from": str(folder / start.FILE)})
            recipe = replace(recipe, options=chosen)
        Session(folder, recipe, population, log).go(callbacks, stop)
        run = Run(folder, recipe.learner, trust=True)  # as it was trained
        if len(population.settings) > 1:
            confirmation.as_asked(folder, run.recipe, log, callbacks, stop)
    return run
