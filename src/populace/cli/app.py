"""The commands. JAX and all that needs it are imported inside them: help must come at once."""

import os
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from populace.cli.output import fail
from populace.core.errors import PopulaceError

app = typer.Typer(
    name="populace",
    help="Train whole populations of networks and agents as one compiled program, "
    "and see honestly what came out.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print results as JSON on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
NoReport = Annotated[bool, typer.Option("--no-report", help="Make no report and no video.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.", show_default=False)]


@app.command()
def run(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE|FILE", help="A recipe, or a TOML file.", show_default=False)],
    set_: Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Change a setting; repeatable.", show_default=False)] = [],  # noqa: B006
    sweep: Annotated[list[str], typer.Option("--sweep", metavar="KEY=A,B", help="Sweep a setting over values; repeatable.", show_default=False)] = [],  # noqa: B006
    seeds: Annotated[int | None, typer.Option(help="Seeds per setting.", show_default=False)] = None,
    steps: Annotated[int | None, typer.Option(help="Iterations of each member.", show_default=False)] = None,
    strategy: Annotated[str | None, typer.Option(help="auto, vmap, map, or members at a time.", show_default=False)] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder to make [default: a new one in runs/].", show_default=False)] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run that is in --out.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    no_report: NoReport = False,
) -> None:  # fmt: skip
    """Train a recipe from its start.

    Examples: `populace run cartpole`, `populace run cartpole --seeds 8 --set discount=0.98
    --sweep learning_rate=1e-3,3e-4`, `populace run RUN/recipe.toml` to replay a run.
    """
    from populace.cli.train import start

    start(
        recipe, set_, sweep, {"seeds": seeds, "steps": steps, "strategy": strategy}, out,
        overwrite=overwrite, as_json=as_json, quiet=quiet or as_json, report=not no_report,
    )  # fmt: skip


@app.command()
def resume(
    folder: RunFolder, as_json: Json = False, quiet: Quiet = False, no_report: NoReport = False
) -> None:
    """Go on with a run that was stopped or killed; it ends as if nothing had happened."""
    from populace.cli.train import go_on

    go_on(folder, as_json=as_json, quiet=quiet or as_json, report=not no_report)


@app.command()
def evaluate(
    folder: RunFolder,
    size: Annotated[int, typer.Option(help="Size of the evaluation per member, such as a number of episodes.", min=1)] = 200,
    backend: Annotated[str, typer.Option(help="native (all members), or gymnasium (the best setting's).")] = "native",
    seed: Annotated[int, typer.Option(help="Seed of the evaluation.", min=0)] = 1,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Evaluate the trained members again, on fresh episodes or test data."""
    from populace.cli.train import measure

    measure(folder, size, backend, seed, as_json)


@app.command()
def report(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN...", help="One run, or several to compare.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Where to write it [default: RUN/report.html, or comparison.html].", show_default=False)] = None,
) -> None:  # fmt: skip
    """Write the report of a run, or one that compares several."""
    from populace import report as room
    from populace.runs.run import Run

    runs = [Run.load(folder) for folder in folders]
    for one in runs:
        one.results()
    target = out or (None if len(runs) == 1 else Path("comparison.html"))
    Console().print(f"report: {room.write(runs, target)}", highlight=False, soft_wrap=True)


@app.command("list")
def list_(
    what: Annotated[str, typer.Argument(help="recipes, learners or environments.")] = "recipes",
) -> None:
    """List recipes, learners or environments."""
    from populace.cli.info import listing

    listing(what)


@app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE", help="A recipe, a recipe file, or a learner.", show_default=False
        ),
    ],
) -> None:
    """Say what a recipe or learner is, with every setting: type, default, range, meaning."""
    from populace.cli.info import describe

    describe(name)


@app.command()
def profile(
    layers: Annotated[list[str], typer.Argument(metavar="LAYER", help="Layers to measure, or `all`; none lists them.", show_default=False)] = [],  # noqa: B006
    sizes: Annotated[str | None, typer.Option(metavar="A,B,C", help="Sizes to measure [default: the layer's own].", show_default=False)] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write to [default: a new one in profiles/].", show_default=False)] = None,
    repeats: Annotated[int, typer.Option(help="Timings of each program, of which the median counts.", min=1)] = 7,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Measure what layers cost by size: time, FLOPs, bytes, memory, and how each of them grows.

    Examples: `populace profile conv2d lstm`, `populace profile attention linear-attention
    --sizes 1024,2048,4096,8192`.
    """
    from populace.cli.profile import profile as measure

    measure(layers, sizes, out, repeats, as_json)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what populace found here: backend, devices, versions, cache, and what is missing."""
    from populace.cli.info import diagnose

    diagnose(as_json)


def main() -> None:
    """Run the command line; errors are one line, exit code 2 for what was written, 1 for what failed."""
    # XLA and the device plugins talk on standard error before Python can stop them.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Films are drawn without a screen or a sound card; SDL complains of both unless told.
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
    # git and ffmpeg are started by exec at once after the fork, which no thread of JAX can block.
    warnings.filterwarnings("ignore", message=r"os\.fork\(\) was called", category=RuntimeWarning)
    if os.environ.get("POPULACE_DEBUG"):
        app()
        return
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except PopulaceError as error:
        fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        fail("interrupted", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if hasattr(error, "format_message"):
            _misused(error)
        if type(error).__name__ == "Abort":
            fail("interrupted", 130)
        # Whatever is left is a fault of ours or of the machine: a line for the person, and how
        # to get at the whole of it.
        text = (str(error).strip().splitlines() or [type(error).__name__])[0]
        fail(f"{type(error).__name__}: {text[:300]} (POPULACE_DEBUG=1 shows where)", 1)


def _misused(error: Any) -> NoReturn:
    """Leave with what the command line's parser found wrong, as one line like every other error.

    Its exceptions are Click's, which some versions of Typer carry within: known by their methods.
    """
    if type(error).__name__ == "NoArgsIsHelpError":
        if error.format_message():  # some versions have printed the help by now
            error.show()
        sys.exit(error.exit_code)
    text = " ".join(error.format_message().split()).rstrip(".")
    fail(text[:1].lower() + text[1:], error.exit_code)
