"""The commands run, resume, confirm and evaluate."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from populace.cli import assignments
from populace.cli.display import TRAINING, Display
from populace.cli.output import fail, print_json
from populace.cli.progress import Progress, progress
from populace.cli.signals import end_at_once, handled
from populace.core.errors import UsageError
from populace.engine import hosts


def run(
    name: str, set_: list[str], sweep: list[str], chosen: dict[str, Any],
    target_score: float | None, tune: str | None, out: Path | None, display: Display, *,
    trust: bool, overwrite: bool, as_json: bool, report: bool,
) -> None:  # fmt: skip
    """Train a recipe from scratch."""
    from populace import recipes
    from populace.engine.placement import setup
    from populace.runs.folder import new_path
    from populace.runs.recipe.parsing import parse
    from populace.runs.training.launch import run_recipe

    if chosen["seeds"] is not None and chosen["seeds"] < 1:
        raise UsageError(f"seeds must be at least 1, got {chosen['seeds']}")
    if tune is not None and target_score is not None:
        raise UsageError("--tune and --target-score both decide how the run goes on; give one of them")
    recipe = parse(recipes.read(name), name, trust=trust)
    recipe = assignments.changed(recipe, set_, sweep, chosen, tune or "")
    if target_score is not None:
        from populace.tuning import TargetScore

        recipe = replace(recipe, controller=TargetScore(target_score))
    setup()
    display.phase("preparing")
    folder = new_path(out, recipe.name)
    with progress(display) as shown:
        _train(
            lambda stop: run_recipe(
                recipe, folder, overwrite=overwrite, callbacks=[shown], log=shown.log, stop=stop
            ),
            folder, shown, as_json=as_json, report=report,
        )  # fmt: skip


def resume(
    folder: Path, steps: int | None, display: Display, *, trust: bool, as_json: bool, report: bool
) -> None:
    """Resume a run from its last checkpoint, to more steps where they are given."""
    from populace.engine.placement import setup
    from populace.runs.run import Run

    loaded = Run.load(folder, trust=trust)
    setup()
    with progress(display) as shown:
        if loaded.finished and steps in (None, loaded.recipe.options.steps) and loaded.sound:
            shown.log(f"'{folder}' is already finished; there is nothing left to train")
            report = report and not (folder / "report.html").is_file()
        _train(
            lambda stop: loaded.resume(steps, callbacks=[shown], log=shown.log, stop=stop),
            folder, shown, as_json=as_json, report=report,
        )  # fmt: skip


def confirm(folder: Path, seeds: int, display: Display, *, trust: bool, as_json: bool, report: bool) -> None:
    """Train the winner of a run and its nearest rival on new seeds."""
    from populace.engine.placement import setup
    from populace.runs.run import Run

    loaded = Run.load(folder, trust=trust)
    loaded.results()
    setup()
    with progress(display) as shown:
        _train(
            lambda stop: loaded.confirm(seeds, callbacks=[shown], log=shown.log, stop=stop),
            folder, shown, as_json=as_json, report=report,
        )  # fmt: skip


def evaluate(
    folder: Path, size: int, backend: str, seed: int, display: Display, *, trust: bool, as_json: bool
) -> None:
    """Evaluate the trained members again."""
    from populace.engine.placement import setup
    from populace.runs.run import Run

    loaded = Run.load(folder, trust=trust)
    setup()
    if not hosts.is_writer():
        return
    display.phase("measuring")
    found = loaded.evaluate(size, backend, seed)
    display.close()
    if as_json:
        print_json(found)
        return
    from populace.cli.results import print_evaluation

    print_evaluation(found)


_PENDING = {
    "measuring": "training is complete, and `populace resume {0}` measures what came out",
    "reporting": "the run is complete, and `populace resume {0}` or `populace report {0}` writes its report",
}
"""What is left to do, by phase, when a run is stopped after its training."""


def _train(train: Callable[..., Any], folder: Path, shown: Progress, *, as_json: bool, report: bool) -> None:
    """Train with signals handled, then print the results."""
    from populace.runs.training.session import Stopped

    display, why, code = shown.display, "", 1
    with handled(lambda: display.now in ("compiling", TRAINING), shown.log) as caught:
        try:
            trained = train(lambda: bool(caught))
            if not hosts.is_writer():
                return
            display.phase("reporting", live=True)
            if report:
                from populace.report import present

                present(trained, shown.log)
            results = trained.results()
            shown.finish(trained.path, results)
            if as_json:
                print_json(results)
        except Stopped as stopped:
            why, code = stopped.command_line, caught.exit_code if caught else stopped.exit_code
            code = max(hosts.gathered(code, "the end"))  # a signal may have come to one of several alone
        except KeyboardInterrupt:
            begun = (folder / "recipe.toml").is_file()
            going_on = "`populace resume {0}` goes on from the last checkpoint" if begun else ""
            left = _PENDING.get(display.now, going_on).format(folder)
            why, code = f"stopped; {left}" if left else "stopped before training began", caught.exit_code
    if why:
        end_at_once()
        display.close()
        fail(why, code)
