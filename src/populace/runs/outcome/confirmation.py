"""Confirmation: the winner of a run and its nearest rival, trained again on seeds that chose nothing.

New episodes do not remove the luck of the winner's seeds, and the best of many settings is lucky. So both are
trained as in the run, with seeds that it never used, in a run folder inside the run's own. Nothing is chosen
by what comes out, so its mean is not biased.
"""

import itertools
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from populace.core import files
from populace.core.errors import RunError, UsageError
from populace.core.population import Population
from populace.engine import hosts
from populace.engine.callbacks import Callback
from populace.runs.folder import keep_json, read_json, resuming
from populace.runs.integrity.schemas import json_files
from populace.runs.recipe.parsing import foreign_modules, parse
from populace.runs.recipe.recipe import Recipe
from populace.runs.training.session import Session
from populace.runs.training.untrained import Log
from populace.runs.weights import start

FOLDER = "confirmation"


def confirm(
    folder: Path,
    recipe: Recipe,
    count: int,
    log: Log,
    callbacks: Sequence[Callback] = (),
    stop: Callable[[], bool] | None = None,
) -> None:
    """Train the winner and its nearest rival on `count` new seeds, and add what came out to `results.json`.

    What was begun before goes on from its last checkpoint; with another number of seeds it begins anew.

    Args:
        folder: of a finished run.
        recipe: of the run, as its folder has it.
        count: number of new seeds.
        log: told in words what happens.
        callbacks: those told of the run that also follow its confirmation.
        stop: asked between windows; yes ends the confirmation with a checkpoint.

    Raises:
        UsageError: there is nothing to confirm, and why.

    """
    results = read_json(folder, "results.json", "the run has not ended", resuming(folder))
    if reason := obstacle(results, folder):
        raise UsageError(f"cannot confirm '{folder}': {reason}")
    population = recipe.population()
    chosen = [results["best"]["setting"], results["best"]["rival"]]
    inside = folder / FOLDER
    wanted = _recipe(recipe, population, chosen, new_seeds(population.seeds, count), results)
    known = _known(inside, wanted)
    hosts.barrier("the look at a confirmation")  # before it is changed
    if known is None:
        if hosts.is_writer():
            shutil.rmtree(inside, ignore_errors=True)
            inside.mkdir()
        if recipe.options.start_from:
            if hosts.is_writer():
                start.keep(inside, start.read(folder))
            options = wanted.options.model_copy(update={"start_from": str(inside / start.FILE)})
            wanted = replace(wanted, options=options)
    hosts.barrier("the start of a confirmation")
    if not _finished(inside):
        log(f"confirming the winner and its nearest rival on {count} new seeds")
        following = [callback for callback in callbacks if callback.follows_confirmation]
        going = known or wanted
        session = Session(inside, going, going.population(), log, owner=folder, externally=False)
        session.go(following, stop, resume=known is not None)
    if hosts.is_writer():
        keep_json(folder, "results.json", results | {"confirmation": _entry(inside, chosen)})
    hosts.barrier("the end of a confirmation")


def as_asked(
    folder: Path,
    recipe: Recipe,
    log: Log,
    callbacks: Sequence[Callback] = (),
    stop: Callable[[], bool] | None = None,
) -> None:
    """Confirm a run whose recipe asks for it, or say why not; a run that did not get to its end is left."""
    results = read_json(folder, "results.json", "the run has not ended", resuming(folder))
    if not recipe.options.confirm or results["status"] != "finished" or "confirmation" in results:
        return
    if reason := obstacle(results, folder):
        if len(results["settings"]) > 1:
            log(f"not confirmed: {reason}")
        if hosts.is_writer():
            keep_json(folder, "results.json", results | {"confirmation": None})
        return
    confirm(folder, recipe, recipe.options.confirm, log, callbacks, stop)


def obstacle(results: dict[str, Any], folder: Path) -> str:
    """Return why a run cannot be confirmed; empty if it can."""
    if results["status"] != "finished":
        return f"it has not ended; `populace resume {folder}` first"
    if len(results["settings"]) == 1:
        return "it has one setting, so none was chosen and its score stands; for more seeds, train more"
    if len({(entry.get("task") or {}).get("identity") for entry in results["settings"]}) > 1:
        return "its settings are of different tasks, which have no common winner; train each task by itself"
    if results["best"] is None:
        return "all members diverged; there is nothing to confirm"
    winner = results["settings"][results["best"]["setting"]]
    if winner["diverged"] == len(winner["members"]):
        return "all members of its best setting diverged; there is nothing to confirm"
    # What halving stopped had lost; the winner itself trained as its setting says.
    changing = {"copy", "settings"} if results.get("eliminated") else {"copy", "settings", "stop_members"}
    if any(changing & decision.keys() for decision in results["decisions"]):
        return "a controller stopped, copied or changed members: a setting alone does not say how they train"
    return ""


def new_seeds(used: Sequence[int], count: int) -> tuple[int, ...]:
    """Return the smallest whole numbers that a run did not use as seeds."""
    return tuple(itertools.islice((s for s in itertools.count() if s not in set(used)), count))


def _recipe(
    recipe: Recipe, population: Population, chosen: list[int], seeds: tuple[int, ...], results: dict[str, Any]
) -> Recipe:
    """Return the recipe of the confirmation: as the run was trained, but for who and with which seeds."""
    old = recipe.options
    used = [group["strategy"] for group in results["strategy"]]
    update: dict[str, Any] = {
        "seeds": list(seeds),
        "samples": None,
        "sampling": "random",
        "confirm": 0,
        "steps": results["steps"],  # a run that its controller ended did not get to its last step
        "log_every": old.window(len(population)),
        "evaluate_every": old.evaluation_window,
        "strategy": used[0] if len(set(used)) == 1 else "auto",
    }
    settings = [dict(population.settings[index]) for index in chosen]
    options = old.model_copy(update=update)
    return Recipe(f"{recipe.name}, confirmed", recipe.learner, {}, settings, options, recipe.about)


def _known(inside: Path, wanted: Recipe) -> Recipe | None:
    """Return the recipe of a confirmation that was begun before, if it is the one that is wanted."""
    try:
        text = files.read(inside / "recipe.toml")
    except (OSError, UnicodeDecodeError):
        return None
    # What the recipe of the run names is trusted by now; of other modules it would have to be asked.
    trusted = {*foreign_modules(text)} <= {*foreign_modules(wanted.text())}
    known = parse(text, str(inside / "recipe.toml"), wanted.learner, trust=trusted)
    mine, theirs = wanted.options, known.options
    same = (mine.seeds, mine.steps, mine.seed) == (theirs.seeds, theirs.steps, theirs.seed)
    return known if same and known.population().settings == wanted.population().settings else None


def _finished(inside: Path) -> bool:
    try:
        return json_files.read(inside / "results.json", sealed=True)["status"] == "finished"
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read '{inside / 'results.json'}': {error}; remove '{inside}'") from None


def _entry(inside: Path, chosen: list[int]) -> dict[str, Any]:
    """Return what `results.json` of the run says of its confirmation; the winner comes first."""
    found = read_json(inside, "results.json", "the confirmation has not ended")
    kept = ("values", "diverged", "floor", "validation", "test")
    return {
        "folder": FOLDER,
        "seeds": [m["seed"] for m in found["members"] if m["setting"] == 0],
        "settings": [
            {"setting": setting} | {name: entry[name] for name in kept}
            for setting, entry in zip(chosen, found["settings"], strict=True)
        ],
        "wall_s": found["timing"]["wall_s"],
    }
