"""The commands. JAX, and whatever needs it, is imported inside them so that `--help` is instant."""

import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from populace.cli.output import Terminal, fail
from populace.core.errors import PopulaceError
from populace.core.untrusted.shown import shortened

if TYPE_CHECKING:
    from populace.cli.display import Display

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


def _loading(silent: bool) -> "Display":
    """Return a display that names the first phase, before what takes long is imported.

    Only a live one does: what is refused leaves nothing on a standard output that is read by a program.
    """
    from populace.cli.display import Display

    display = Display(silent=silent)
    display.phase("loading", live=True)
    return display


Json = Annotated[bool, typer.Option("--json", help="Print results as JSON on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
NoReport = Annotated[bool, typer.Option("--no-report", help="Skip the report and its videos.")]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust", help="Import the modules outside populace that the recipe names, which runs their code."
    ),
]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.", show_default=False)]


@app.command()
def run(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE|FILE", help="Name of a recipe, or a recipe file (TOML).", show_default=False)],
    set_: Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Set a setting of the learner, or a run option by run.KEY; repeatable.", show_default=False)] = [],  # noqa: B006
    sweep: Annotated[list[str], typer.Option("--sweep", metavar="KEY=A,B", help="Train members for each of these values of a setting; repeatable.", show_default=False)] = [],  # noqa: B006
    seeds: Annotated[int | None, typer.Option(help="Number of seeds per setting.", show_default=False)] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps of each member.", show_default=False)] = None,
    strategy: Annotated[str | None, typer.Option(help="How members are batched: auto, vmap (all at once), map (one by one), or a number at a time.", show_default=False)] = None,
    target_score: Annotated[float | None, typer.Option("--target-score", help="Stop once the interquartile mean of a setting reaches this score.", show_default=False)] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write the run to [default: a new one in runs/].", show_default=False)] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing run in --out.")] = False,
    trust: Trust = False,
    as_json: Json = False,
    quiet: Quiet = False,
    no_report: NoReport = False,
) -> None:  # fmt: skip
    """Train a recipe from scratch.

    Examples: `populace run cartpole`, `populace run cartpole --seeds 8 --set discount=0.98
    --sweep learning_rate=1e-3,3e-4`, or `populace run RUN/recipe.toml` to replay a run.
    """
    with _loading(quiet or as_json) as display:
        from populace.cli import train

        train.run(
            recipe, set_, sweep, {"seeds": seeds, "steps": steps, "strategy": strategy}, target_score, out,
            display, trust=trust, overwrite=overwrite, as_json=as_json, report=not no_report,
        )  # fmt: skip


@app.command()
def resume(
    folder: RunFolder,
    steps: Annotated[int | None, typer.Option(help="Train on to this many iterations of each member in all.", show_default=False)] = None,
    trust: Trust = False,
    as_json: Json = False,
    quiet: Quiet = False,
    no_report: NoReport = False,
) -> None:  # fmt: skip
    """Resume an interrupted run from its last checkpoint; the result is as if it had never stopped."""
    with _loading(quiet or as_json) as display:
        from populace.cli import train

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
    with _loading(quiet or as_json) as display:
        from populace.cli import train

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
    from populace.cli import plan as plans

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
    with _loading(as_json) as display:
        from populace.cli import train

        train.evaluate(folder, size, backend, seed, display, trust=trust, as_json=as_json)


@app.command()
def report(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN...", help="One run, or several runs to compare.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="File to write [default: RUN/report.html, or comparison.html].", show_default=False)] = None,
) -> None:  # fmt: skip
    """Write the HTML report of a run, or a comparison of several runs."""
    with _loading(False) as display:
        from populace import report as reports
        from populace.runs.run import Run

        runs = [Run.load(folder) for folder in folders]
        for one in runs:
            one.results()
        target = out or (None if len(runs) == 1 else Path("comparison.html"))
        display.phase("writing the report")
        written = reports.write(runs, target)
    Terminal().print(f"report: {written}", highlight=False, markup=False, soft_wrap=True)


@app.command()
def verify(folder: RunFolder) -> None:
    """Check every file of a run against its checksum, and say which versions and devices trained it."""
    from populace.cli.verify import verify_run

    verify_run(folder)


@app.command("list")
def list_(
    what: Annotated[str, typer.Argument(help="What to list: recipes, learners, environments or runs.")] = "recipes",
    folder: Annotated[Path, typer.Option("--in", metavar="DIR", help="Folder with the runs.")] = Path("runs"),
) -> None:  # fmt: skip
    """List the recipes, learners, environments, or the runs in a folder with their status."""
    if what == "runs":
        from populace.cli.run_list import print_runs

        print_runs(folder)
        return
    from populace.cli import info

    info.print_list(what)


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
    from populace.cli import info

    info.print_description(name)


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
    from populace.cli.profile import profile as measure

    measure(layers, sizes, out, repeats, as_json)


@app.command()
def forecast(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Series in a .csv or .parquet: columns unique_id, ds, y, or a column per series.", show_default=False)],
    horizon: Annotated[int, typer.Option("--horizon", "-H", help="Steps to forecast.", min=1)] = 12,
    model: Annotated[str, typer.Option(help="Model: auto (chosen by the backtest), or one of naive, seasonal-naive, drift, theta, ets, arima, ridge, nlinear, dlinear, nhits, mlp, lstm, gru, wavenet.")] = "auto",
    window: Annotated[int | None, typer.Option(help="Steps of history that models see [default: two seasons, at least the horizon].", show_default=False)] = None,
    windows: Annotated[int, typer.Option(help="Windows of the backtest.", min=1)] = 3,
    members: Annotated[int, typer.Option(help="Networks of a population.", min=1)] = 10,
    steps: Annotated[int, typer.Option(help="Training steps of a network.", min=1)] = 1000,
    quantiles: Annotated[str, typer.Option(metavar="A,B,C", help="Levels of the quantiles.")] = "0.05,0.1,0.5,0.9,0.95",
    id_: Annotated[str | None, typer.Option("--id", help="Column of the series' names.", show_default=False)] = None,
    time: Annotated[str | None, typer.Option(help="Column of the stamps.", show_default=False)] = None,
    target: Annotated[str | None, typer.Option(help="Column to forecast.", show_default=False)] = None,
    frequency: Annotated[str | None, typer.Option(help="Distance of the stamps, such as 1h or 1mo [default: inferred].", show_default=False)] = None,
    time_zone: Annotated[str, typer.Option("--time-zone", help="Zone of stamps without one, such as Europe/Paris.", show_default=False)] = "",
    past: Annotated[str, typer.Option(metavar="A,B", help="Exogenous columns that are known up to the last observation.", show_default=False)] = "",
    future: Annotated[str, typer.Option(metavar="A,B", help="Those that are known ahead: rows behind the last observation hold them.", show_default=False)] = "",
    static: Annotated[str, typer.Option(metavar="A,B", help="Those that have one value per series.", show_default=False)] = "",
    categorical: Annotated[str, typer.Option(metavar="A,B", help="Exogenous columns whose numbers are categories; text always is.", show_default=False)] = "",
    mask: Annotated[bool, typer.Option("--mask", help="Accept missing observations: leave them out of training and metrics.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder to write to [default: a new one in forecasts/].", show_default=False)] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Forecast the series in a file, with quantiles, and measure models by a backtest.

    Examples: `populace forecast sales.csv --horizon 28`, `populace forecast load.csv --model lstm
    --horizon 24 --window 168 --target load`.
    """
    roles = {"past": past, "future": future, "static": static, "categorical": categorical}
    columns = {"id": id_, "time": time, "target": target, "frequency": frequency, "time_zone": time_zone}
    columns |= {name: [part for part in text.split(",") if part] for name, text in roles.items()}
    with _loading(quiet or as_json) as display:
        from populace.cli.forecast import forecast as make

        make(
            data, horizon, model, window, windows, members, steps, quantiles, columns, out, display,
            mask=mask, as_json=as_json,
        )  # fmt: skip


@app.command()
def generate(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run of language models, or of a saved member.", show_default=False)],
    prompt: Annotated[list[str], typer.Option("--prompt", "-p", help="Text to continue; repeatable. Without one, the begin of a document.", show_default=False)] = [],  # noqa: B006
    length: Annotated[int, typer.Option(help="Tokens to write at most.", min=1)] = 200,
    temperature: Annotated[float, typer.Option(help="Below 1 the likely becomes likelier; 0 takes the likeliest token.", min=0)] = 1.0,
    top_k: Annotated[int, typer.Option("--top-k", help="Likeliest tokens to keep; 0 for all.", min=0)] = 0,
    top_p: Annotated[float, typer.Option("--top-p", help="Share of probability to keep; 1 for all.", min=0, max=1)] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of the draws.", min=0)] = 0,
    samples: Annotated[int, typer.Option(help="Texts per prompt.", min=1)] = 1,
    members: Annotated[str, typer.Option(help="Who writes: best, all (probabilities averaged over the best setting's members), or numbers as 0,3.")] = "best",
    shown: Annotated[int, typer.Option(help="Likeliest tokens to show at each token that was written; 0 for none.", min=0, max=10)] = 5,
    trust: Trust = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Write text with trained language models, and show the probabilities it was chosen from.

    Example: `populace generate runs/shakespeare-gpt --prompt "ROMEO:" --temperature 0.8`.
    """
    with _loading(as_json) as display:
        from populace.cli.domains import generate as writing

        how = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed, "samples": samples}
        writing.generate(
            folder, prompt, length, how, members, shown, display, trust=trust, as_json=as_json
        )  # fmt: skip


@app.command()
def sample(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run of generative models, or of a saved member.", show_default=False)],
    n: Annotated[int, typer.Option("--n", "-n", help="Samples to draw.", min=1)] = 64,
    out: Annotated[Path, typer.Option(help="Picture to write, a PNG.")] = Path("samples.png"),
    label: Annotated[str | None, typer.Option(help="Class to draw, by name or number, of a conditional model [default: every class in turn].", show_default=False)] = None,
    temperature: Annotated[float, typer.Option(help="Factor on the deviation of the latent; below 1 samples are more alike.", min=0)] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of the draws.", min=0)] = 0,
    member: Annotated[str, typer.Option(help="Who draws: best, or a number.")] = "best",
    trust: Trust = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Draw samples of a trained generative model into one picture.

    Example: `populace sample runs/vae --n 64 --out grid.png`.
    """
    with _loading(as_json) as display:
        from populace.cli.domains import sample as drawing

        drawing.sample(
            folder, n, out, label, temperature, seed, member, display, trust=trust, as_json=as_json
        )  # fmt: skip


@app.command()
def doctor(as_json: Json = False) -> None:
    """Diagnose the installation: backend, devices, versions, cache, and missing optional parts."""
    from populace.cli import info

    info.doctor(as_json)


def main() -> None:
    """Run the command line. Errors are one line; the exit code is 2 for wrong usage, 1 for a failure."""
    # XLA and the device plugins write to standard error before Python can prevent it.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Videos are rendered without a screen or sound card; SDL complains of both unless configured.
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
    # git and ffmpeg are forked and exec'd at once, which JAX's threads cannot deadlock.
    warnings.filterwarnings("ignore", message=r"os\.fork\(\) was called", category=RuntimeWarning)
    if os.environ.get("POPULACE_DEBUG"):
        app()
        return
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except PopulaceError as error:
        fail(error.command_line, error.exit_code)
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
        # Anything else is a bug or a fault of the machine: print one line, and how to get the traceback.
        text = shortened((str(error).strip().splitlines() or [type(error).__name__])[0], 300)
        fail(f"{type(error).__name__}: {text} (set POPULACE_DEBUG=1 for the traceback)", 1)


def _misused(error: Any) -> NoReturn:
    """Exit with the parser's error message, as one line like every other error.

    The exceptions are Click's, which some versions of Typer vendor, so they are recognized by their methods.
    """
    if type(error).__name__ == "NoArgsIsHelpError":
        if error.format_message():  # some versions have already printed the help
            error.show()
        sys.exit(error.exit_code)
    text = _expected(error) or " ".join(shortened(error.format_message(), 10_000).split()).rstrip(".")
    asked = getattr(error.ctx, "command_path", "populace") if hasattr(error, "ctx") else "populace"
    advice = "" if "Did you mean" in text or "Possible options" in text else f"; see `{asked} --help`"
    fail(text[:1].lower() + text[1:] + advice, error.exit_code)


def _expected(error: Any) -> str:
    """Return what a value of an option must be; empty if Typer does not say it by an error of pydantic's."""
    try:
        (found, *_) = error.__cause__.errors()
        name = error.format_message().split("'")[1]
        kind, limits = found["type"], found.get("ctx", {})
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return ""
    words = {"int": "a whole number", "float": "a number"}.get(kind.partition("_")[0], "")
    ends = {"greater_than_equal": "at least {ge}", "less_than_equal": "at most {le}"}
    wanted = words or ends.get(kind, "").format(**limits)
    return f"{name} must be {wanted}, got '{found['input']}'" if wanted else ""
