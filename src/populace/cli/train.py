"""The commands that train and measure: run, resume, evaluate."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from populace.cli import assignments
from populace.cli.output import print_json
from populace.cli.progress import Progress, progress
from populace.core.errors import UsageError


def start(
    name: str, set_: list[str], sweep: list[str], chosen: dict[str, Any], out: Path | None, *,
    overwrite: bool, as_json: bool, quiet: bool, report: bool,
) -> None:  # fmt: skip
    """Run a recipe from its start."""
    from populace import recipes
    from populace.engine.placement import setup
    from populace.runs.recipe import parse
    from populace.runs.run import run_recipe

    if chosen["seeds"] is not None and chosen["seeds"] < 1:
        raise UsageError(f"seeds must be at least 1, got {chosen['seeds']}")
    recipe = assignments.changed(parse(recipes.read(name), name), set_, sweep, chosen)
    setup()
    with progress(quiet, recipe.options.steps) as display:
        _go(
            lambda stop: run_recipe(
                recipe, out, overwrite=overwrite, callbacks=[display], log=display.log, stop=stop
            ),
            display, as_json=as_json, report=report,
        )  # fmt: skip


def go_on(folder: Path, *, as_json: bool, quiet: bool, report: bool) -> None:
    """Resume a run."""
    from populace.engine.placement import setup
    from populace.runs.run import Run

    run = Run.load(folder)
    setup()
    with progress(quiet, run.recipe.options.steps) as display:
        if run.finished:
            display.log(f"'{folder}' has finished already; nothing is left to train")
            report = report and not (folder / "report.html").is_file()
        _go(
            lambda stop: run.resume(callbacks=[display], log=display.log, stop=stop),
            display, as_json=as_json, report=report,
        )  # fmt: skip


def measure(folder: Path, size: int, backend: str, seed: int, as_json: bool) -> None:
    """Evaluate trained members again."""
    from populace.engine.placement import setup
    from populace.runs.run import Run

    run = Run.load(folder)
    setup()
    found = run.evaluate(size, backend, seed)
    if as_json:
        print_json(found)
        return
    from populace.cli.info import evaluation

    evaluation(found)


def _go(train: Callable[..., Any], display: Progress, *, as_json: bool, report: bool) -> None:
    """Train with the signals caught, then show what came out."""
    from populace.runs.training import Stopped

    caught: list[int] = []

    def catch(number: int, frame: Any) -> None:
        if caught and number == signal.SIGINT:
            raise KeyboardInterrupt  # asked twice: leave at once, the last checkpoint is there
        caught.append(number)
        display.log("stopping at the next window, with a checkpoint")

    before = {s: signal.signal(s, catch) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        run = train(lambda: bool(caught))
        if report:
            from populace.report import present

            present(run, display.log)
        results = run.results()
        display.finish(run.path, results)
        if as_json:
            print_json(results)
    except Stopped as stopped:
        display.close()
        code = 128 + caught[0] if caught else 1
        print(f"populace: {stopped}", file=sys.stderr)
        sys.exit(code)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
