"""The commands of one domain each. What does the work is imported inside, so that `--help` is instant."""

from pathlib import Path
from typing import Annotated

import typer

from populace.cli.options import Json, Quiet, Trust, loading


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
    with loading(quiet or as_json) as display:
        from populace.cli.domains.forecast import forecast as make

        make(
            data, horizon, model, window, windows, members, steps, quantiles, columns, out, display,
            mask=mask, as_json=as_json,
        )  # fmt: skip


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
    with loading(as_json) as display:
        from populace.cli.domains import generate as writing

        how = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed, "samples": samples}
        writing.generate(
            folder, prompt, length, how, members, shown, display, trust=trust, as_json=as_json
        )  # fmt: skip


def sample(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run of generative models, or of a saved member.", show_default=False)],
    n: Annotated[int, typer.Option("--n", "-n", help="Samples to draw.", min=1)] = 64,
    out: Annotated[Path, typer.Option(help="Picture to write, a PNG.")] = Path("samples.png"),
    label: Annotated[str | None, typer.Option(help="Class to draw, by name or number, of a conditional model [default: every class in turn].", show_default=False)] = None,
    temperature: Annotated[float, typer.Option(help="Factor on the deviation of the latent; below 1 samples are more alike.", min=0)] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of the draws.", min=0)] = 0,
    steps: Annotated[int | None, typer.Option(help="Steps of the sampler of a diffusion model [default: its sampler_steps].", min=1, show_default=False)] = None,
    eta: Annotated[float | None, typer.Option(help="Noise of that sampler: 0 for DDIM, 1 for DDPM [default: the model's eta].", min=0, max=1, show_default=False)] = None,
    guidance: Annotated[float | None, typer.Option(help="Stress of the class in samples of a conditional diffusion model; 1 is the model itself [default: the model's guidance].", min=0, show_default=False)] = None,
    member: Annotated[str, typer.Option(help="Who draws: best, or a number.")] = "best",
    trust: Trust = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Draw samples of a trained generative model into one picture.

    Example: `populace sample runs/vae --n 64 --out grid.png`.
    """
    with loading(as_json) as display:
        from populace.cli.domains import sample as drawing

        how = {"temperature": temperature, "seed": seed}
        given = {"steps": steps, "eta": eta, "guidance": guidance}
        how |= {name: value for name, value in given.items() if value is not None}
        drawing.sample(folder, n, out, label, how, member, display, trust=trust, as_json=as_json)
