"""The command forecast: a backtest of models, and the future of every series by the one that did best."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from populace.cli.output import print_json
from populace.core import files
from populace.core.errors import UsageError, unknown

_NETWORKS = ("nlinear", "dlinear", "mlp", "lstm", "gru", "wavenet")
_MODELS = ("auto", "naive", "seasonal-naive", "drift", "theta", "ridge", *_NETWORKS)
_SHOWN = ("WQL", "MASE", "MAE")
_MANY = 2000
"""Series beyond which the Theta method, which takes them one by one, is left out unless it is asked for."""


def forecast(
    data: Path, horizon: int, model: str, window: int | None, windows: int, members: int, steps: int,
    quantiles: str, columns: dict[str, Any], out: Path | None, *, mask: bool, as_json: bool,
) -> None:  # fmt: skip
    """Read, backtest, choose, forecast and write."""
    from populace.forecasting import compare, read
    from populace.forecasting.evaluation.quantile_metrics import check_quantiles

    if model not in _MODELS:
        raise unknown("model", model, _MODELS)
    levels = tuple(check_quantiles(_numbers(quantiles)).tolist())
    console = Console(quiet=as_json)
    panel = read(data, missing="mask" if mask else "refuse", **columns)
    console.print(f"read     {repr(panel)[6:-1]}", highlight=False, soft_wrap=True)
    window = window or max(2 * panel.frequency.season, horizon, 4)
    models = _models(model, window, horizon, panel, members, steps)
    with console.status("starting") as status:
        found = compare(
            models, panel, horizon, windows=windows, quantiles=levels,
            on_model=lambda name: status.update(f"backtest of {name}"),
        )  # fmt: skip
        chosen = found.chosen if model == "auto" else models[0].name
        status.update(f"fitting {chosen} to all of the history")
        future = found.models[chosen].fit(panel).predict(horizon, levels)
    folder = _folder(out, data)
    future.write(folder / "forecast.csv")
    future.write(folder / "forecast.parquet")
    result = {
        "data": str(data), "series": len(panel), "frequency": str(panel.frequency), "horizon": horizon,
        "windows": windows, "chosen": chosen, "backtest": found.table(),
        "last window": found.table(slice(-1, None))[chosen] if windows > 1 else None,
        "calibration": {f"{q:g}": share for q, share in found.backtests[chosen].calibration().items()},
    }  # fmt: skip
    files.write(folder / "backtest.json", files.to_json(result))
    if as_json:
        print_json(result | {"folder": str(folder)})
        return
    _show(console, result, model, levels)
    console.print(f"forecast {folder / 'forecast.csv'}", highlight=False, soft_wrap=True)


def _models(model: str, window: int, horizon: int, panel: Any, members: int, steps: int) -> list[Any]:
    """Return the model that was asked for, first, and the baselines it is compared with."""
    from populace.forecasting import Drift, Forecaster, Linear, Naive, SeasonalNaive, Theta

    made: dict[str, Any] = {"naive": Naive(), "seasonal-naive": SeasonalNaive(), "drift": Drift()}
    if len(panel) <= _MANY or model == "theta":
        made["theta"] = Theta()
    made["ridge"] = Linear(window=window, horizon=horizon, penalty=1e-2, scaled=len(panel) > 1)
    network = model if model in _NETWORKS else "nlinear"
    made[network] = Forecaster(
        window=window, horizon=horizon, network=network, members=members, steps=steps, learning_rate=5e-3,
        scaled=len(panel) > 1,
    )  # fmt: skip
    if model in ("auto", network):
        names = [network, *(name for name in made if name != network)]
    else:  # no network is trained that nobody asked for
        names = [model, *(name for name in made if name not in (model, network))]
    return [made[name] for name in names]


def _show(console: Console, result: dict[str, Any], model: str, levels: Sequence[float]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("model")
    interval = next(
        (name for name in result["backtest"][result["chosen"]] if name.startswith("coverage")), None
    )
    for name in (*_SHOWN, *([interval] if interval else [])):
        table.add_column(name, justify="right")
    ordered = sorted(result["backtest"].items(), key=lambda item: item[1]["WQL"])
    for name, row in ordered:
        cells = [f"{row[metric]:.4g}" for metric in _SHOWN]
        cells += [f"{100 * row[interval]:.0f} %"] if interval else []
        bold = "[bold]" if name == result["chosen"] else ""
        table.add_row(bold + name, *(bold + cell for cell in cells))
    console.print(table)
    how = "chosen by the windows before the last" if model == "auto" and result["windows"] > 1 else "as asked"
    if model == "auto" and result["windows"] == 1:
        how = "chosen by the one window, so its numbers are flattering"
    console.print(f"model    {result['chosen']}, {how}", highlight=False, soft_wrap=True)
    last = result["last window"]
    if last and model == "auto":
        console.print(
            f"fresh    WQL {last['WQL']:.4g} and MASE {last['MASE']:.4g} in the last window, "
            "which took no part in the choice",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
    shares = ", ".join(
        f"{100 * share:.0f} % below {100 * float(q):g} %" for q, share in result["calibration"].items()
    )
    console.print(f"quantile {shares} (observed share below each quantile)", highlight=False, soft_wrap=True)
    del levels


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(
            f"quantiles must be numbers between 0 and 1, as 0.05,0.5,0.95, got {text!r:.60}"
        ) from None


def _folder(out: Path | None, data: Path) -> Path:
    """Return a folder to write to: the one that was named, or a new one."""
    if out is None:
        base, number = Path("forecasts") / data.stem, 1
        out = base
        while out.exists():
            number += 1
            out = base.with_name(f"{base.name}-{number}")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write to '{out}': {error.strerror}; give another --out") from None
    return out
