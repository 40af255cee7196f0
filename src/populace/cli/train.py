"""The commands run, resume, confirm and evaluate."""

import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from populace.cli import assignments
from populace.cli.output import print_json
from populace.cli.progress import Progress, progress
from populace.core.errors import UsageError


def run(
    name: str, set_: list[str], sweep: list[str], chosen: dict[str, Any],
    target_score: float | None, out: Path | None, *,
    overwrite: bool, as_json: bool, quiet: bool, report: bool,
) -> None:  # fmt: skip
    """Train a recipe from scratch."""
    from populace import recipes
    from populace.engine.placement import setup
    from populace.runs.launch import run_recipe
    from populace.runs.recipe import parse

    if chosen["seeds"] is not None and chosen["seeds"] < 1:
        raise UsageError(f"seeds must be at least 1, got {chosen['seeds']}")
    recipe = assignments.changed(parse(recipes.read(name), name), set_, sweep, chosen)
    if target_score is not None:
        from populace.tuning import TargetScore

        recipe = replace(recipe, controller=TargetScore(target_score))
    setup()
    with progress(quiet) as display:
        _train(
            lambda stop: run_recipe(
                recipe, out, overwrite=overwrite, callbacks=[display], log=display.log, stop=stop
            ),
            display, as_json=as_json, report=report,
        )  # fmt: skip


def resume(folder: Path, steps: int | None, *, as_json: bool, quiet: bool, report: bool) -> None:
    """Resume a run from its last checkpoint, to more steps where they are given."""
    from populace.engine.placement import setup
    from populace.runs.run import Run

    loaded = Run.load(folder)
    setup()
    with progress(quiet) as display:
        if loaded.finished and steps in (None, loaded.recipe.options.steps) and loaded.sound:
            display.log(f"'{folder}' is already finished; there is nothing left to train")
            report = report and not (folder / "report.html").is_file()
        _train(
            lambda stop: loaded.resume(steps, callbacks=[display], log=display.log, stop=stop),
            display, as_json=as_json, report=report,
        )  # fmt: skip


def confirm(folder: Path, seeds: int, *, as_json: bool, quiet: bool, report: bool) -> None:
    """Train the winner of a run and its nearest rival on new seeds."""
    from populace.engine.placement import setup
    from populace.runs.run import Run

    loaded = Run.load(folder)
    loaded.results()
    setup()
    with progress(quiet) as display:
        _train(
            lambda stop: loaded.confirm(seeds, callbacks=[display], log=display.log, stop=stop),
            display, as_json=as_json, report=report,
        )  # fmt: skip


def evaluate(folder: Path, size: int, backend: str, seed: int, as_json: bool) -> None:
    """Evaluate the trained members again."""
    from populace.engine.placement import setup
    from populace.runs.run import Run

    loaded = Run.load(folder)
    setup()
    found = loaded.evaluate(size, backend, seed)
    if as_json:
        print_json(found)
        return
    from populace.cli.info import print_evaluation

    print_evaluation(found)


def _train(train: Callable[..., Any], display: Progress, *, as_json: bool, report: bool) -> None:
    """Train with signals handled, then print the results."""
    from populace.runs.training import Stopped

    caught: list[int] = []

    def catch(number: int, frame: Any) -> None:
        if caught and number == signal.SIGINT:
            raise KeyboardInterrupt  # a second Ctrl-C: exit at once; the last checkpoint is on disk
        caught.append(number)
        display.log("stopping after this window, with a checkpoint")

    before = {s: signal.signal(s, catch) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        trained = train(lambda: bool(caught))
        if report:
            from populace.report import present

            present(trained, display.log)
        results = trained.results()
        display.finish(trained.path, results)
        if as_json:
            print_json(results)
    except Stopped as stopped:
        display.close()
        code = 128 + caught[0] if caught else 1
        print(f"populace: {stopped.command_line}", file=sys.stderr)
        sys.exit(code)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
