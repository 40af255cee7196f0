"""The commands. JAX, and whatever needs it, is imported inside them so that `--help` is instant."""

from pathlib import Path
from typing import Annotated

import typer

from populace.cli.compilation import compilation_shown
from populace.cli.domains import commands as domains
from populace.cli.options import Json, NoReport, Quiet, RunFolder, Trust, Verbose, loading

app = typer.Typer(
    name="populace",
    help="Train whole populations of neural networks and agents as one compiled program, "
    "with statistics over seeds and settings.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        import populace

        print(f"populace {populace.__version__}")
        raise typer.Exit


@app.callback()
def _app(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:  # fmt: skip
    """Options of `populace` itself, before any command."""


@app.command()
def run(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE|FILE", help="Name of a recipe, or a recipe file (TOML).", show_default=False)],
    set_: Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Set a setting of the learner, a run option by run.KEY, or one of --tune by tune.KEY; repeatable.", show_default=False)] = [],  # noqa: B006
    sweep: Annotated[list[str], typer.Option("--sweep", metavar="KEY=A,B", help="Train members for each of these values of a setting; repeatable.", show_default=False)] = [],  # noqa: B006
    seeds: Annotated[int | None, typer.Option(help="Number of seeds per setting.", show_default=False)] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps of each member.", show_default=False)] = None,
    strategy: Annotated[str | None, typer.Option(help="How members are batched: auto, vmap (all at once), map (one by one), or a number at a time.", show_default=False)] = None,
    target_score: Annotated[float | None, typer.Option("--target-score", help="Stop once the interquartile mean of a setting reaches this score.", show_default=False)] = None,
    tune: Annotated[str | None, typer.Option("--tune", metavar="NAME", help="Stop or replace losing settings as training goes on: halving, hyperband or population-based; its settings by --set tune.KEY=VALUE.", show_default=False)] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write the run to [default: a new one in runs/].", show_default=False)] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing run in --out.")] = False,
    trust: Trust = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    no_report: NoReport = False,
) -> None:  # fmt: skip
    """Train a recipe from scratch.

    Examples: `populace run cartpole`, `populace run cartpole --seeds 8 --set discount=0.98
    --sweep learning_rate=1e-3,3e-4`, or `populace run RUN/recipe.toml` to replay a run.
    """
    with loading(quiet or as_json) as display, compilation_shown(verbose):
        from populace.cli.commands import train

        train.run(
            recipe, set_, sweep, {"seeds": seeds, "steps": steps, "strategy": strategy}, target_score, tune,
            out, display, trust=trust, overwrite=overwrite, as_json=as_json, report=not no_report,
        )  # fmt: skip


@app.command()
def resume(
    folder: RunFolder,
    steps: Annotated[int | None, typer.Option(help="Train on to this many iterations of each member in all.", show_default=False)] = None,
    trust: Trust = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    no_report: NoReport = False,
) -> None:  # fmt: skip
    """Resume an interrupted run from its last checkpoint; the result is as if it had never stopped."""
    with loading(quiet or as_json) as display, compilation_shown(verbose):
        from populace.cli.commands import train

        train.resume(folder, steps, display, trust=trust, as_json=as_json, report=not no_report)


@app.command()
def confirm(
    folder: RunFolder,
    seeds: Annotated[int, typer.Option(help="Number of new seeds.", min=1)] = 16,
    trust: Trust = False,
    as_json: Json = False,
    quiet: Quiet = False,
    no_report: NoReport = False,
) -> None:  # fmt: skip
    """Train the winning setting and its nearest rival again, on seeds that the run did not use."""
    with loading(quiet or as_json) as display:
        from populace.cli.commands import train

        train.confirm(folder, seeds, display, trust=trust, as_json=as_json, report=not no_report)


@app.command()
def plan(
    effect: Annotated[float, typer.Option(help="Difference to detect, in units of the score.", show_default=False)],
    from_: Annotated[Path, typer.Option("--from", metavar="RUN", help="Earlier run whose spread over seeds is taken.", show_default=False)],
    score: Annotated[str | None, typer.Option(help="Measure that the run must have.", show_default=False)] = None,
    power: Annotated[float, typer.Option(help="Statistical power: share of comparisons that should detect it.", min=0.5, max=0.999)] = 0.8,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Say how many seeds it takes to detect a difference of this size, before training them."""
    from populace.cli.commands import plan as plans

    plans.plan(effect, from_, score, power, as_json)


@app.command()
def evaluate(
    folder: RunFolder,
    size: Annotated[int, typer.Option(help="Size of each member's evaluation, such as a number of episodes.", min=1)] = 200,
    backend: Annotated[str, typer.Option(help="native (evaluates all members), or gymnasium (only those of the best setting).")] = "native",
    seed: Annotated[int, typer.Option(help="Seed of the evaluation.", min=0)] = 1,
    trust: Trust = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Evaluate the trained members again, on new episodes or on test data."""
    with loading(as_json) as display:
        from populace.cli.commands import train

        train.evaluate(folder, size, backend, seed, display, trust=trust, as_json=as_json)


@app.command()
def report(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN...", help="One run, or several runs to compare.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="File to write [default: RUN/report.html, or comparison.html].", show_default=False)] = None,
    trade_off: Annotated[bool, typer.Option("--trade-off", help="Also print what each setting costs: those that no other dominates, and the smallest that is as good as the winner.")] = False,
) -> None:  # fmt: skip
    """Write the HTML report of a run, or a comparison of several runs."""
    from populace.cli.commands import report as reports

    reports.report(folders, out, trade_off)


@app.command()
def status(folder: RunFolder, as_json: Json = False) -> None:
    """Say how far a run is, who trains it, and which settings lead so far."""
    from populace.cli.commands import watch as watching

    watching.status(folder, as_json)


@app.command()
def watch(
    folder: RunFolder,
    port: Annotated[int, typer.Option(help="Port of this machine to serve the page at; 0: any that is free.", min=0, max=65535)] = 0,
) -> None:  # fmt: skip
    """Serve a page on this machine that shows a run while it trains: progress, curves and settings, live."""
    from populace.cli.commands import watch as watching

    watching.watch(folder, port)


@app.command()
def verify(folder: RunFolder) -> None:
    """Check every file of a run against its checksum, and say which versions and devices trained it."""
    from populace.cli.commands.verify import verify_run

    verify_run(folder)


@app.command("list")
def list_(
    what: Annotated[str, typer.Argument(help="What to list: recipes, learners, environments or runs.")] = "recipes",
    folder: Annotated[Path, typer.Option("--in", metavar="DIR", help="Folder with the runs.")] = Path("runs"),
) -> None:  # fmt: skip
    """List the recipes, learners, environments, or the runs in a folder with their status."""
    if what == "runs":
        from populace.cli.commands.run_list import print_runs

        print_runs(folder)
        return
    from populace.cli.commands import descriptions

    descriptions.print_list(what)


@app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE", help="Name of a recipe or learner, or a recipe file.", show_default=False
        ),
    ],
) -> None:
    """Describe a recipe or learner and all its settings: type, default, range and meaning."""
    from populace.cli.commands import descriptions

    descriptions.print_description(name)


@app.command()
def profile(
    layers: Annotated[list[str], typer.Argument(metavar="LAYER", help="Layers to profile, or `all`; without any, lists the available layers.", show_default=False)] = [],  # noqa: B006
    sizes: Annotated[str | None, typer.Option(metavar="A,B,C", help="Input sizes to measure [default: chosen per layer].", show_default=False)] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write the profile to [default: a new one in profiles/].", show_default=False)] = None,
    repeats: Annotated[int, typer.Option(help="Timings per program; the median is reported.", min=1)] = 7,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Profile layers: time, FLOPs, bytes and peak memory by input size, and their scaling exponents.

    Examples: `populace profile conv2d lstm`, `populace profile attention linear-attention
    --sizes 1024,2048,4096,8192`.
    """
    from populace.cli.commands.profile import profile as measure

    measure(layers, sizes, out, repeats, as_json)


for command in (domains.forecast, domains.generate, domains.sample):
    app.command()(command)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Diagnose the installation: backend, devices, versions, cache, and missing optional parts."""
    from populace.cli.commands import doctor as diagnosis

    diagnosis.doctor(as_json)
