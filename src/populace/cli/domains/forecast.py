"""The command forecast: a backtest of models, and the future of every series by the one that did best."""

import itertools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from populace.cli.display import Display
from populace.cli.output import made_folder, print_json
from populace.core import files
from populace.core.errors import UsageError, unknown

_NETWORKS = ("nlinear", "dlinear", "nhits", "mlp", "lstm", "gru", "wavenet")
_MODELS = ("auto", "naive", "seasonal-naive", "drift", "theta", "ets", "arima", "ridge", *_NETWORKS)
_SHOWN = ("WQL", "MASE", "MAE")


def forecast(
    data: Path, horizon: int, model: str, window: int | None, windows: int, members: int, steps: int,
    quantiles: str, columns: dict[str, Any], out: Path | None, display: Display, *, mask: bool, as_json: bool,
) -> None:  # fmt: skip
    """Read, backtest, choose, forecast and write."""
    from populace import __version__
    from populace.forecasting import compare, findings, read
    from populace.forecasting.evaluation.quantile_metrics import check_quantiles
    from populace.report.forecasts.page import write_forecasts

    if model not in _MODELS:
        raise unknown("model", model, _MODELS)
    levels = tuple(check_quantiles(_numbers(quantiles)).tolist())
    display.phase("reading", live=True)
    panel = read(data, missing="mask" if mask else "refuse", **columns)
    display.line(f"read     {repr(panel)[6:-1]}")
    window = window or max(2 * panel.frequency.season, horizon, 4)
    panel, left_out = _long_enough(panel, window, horizon, windows)
    short = _short(left_out, window, horizon, windows) if left_out else ""
    if short:
        display.line(f"left out {short}")
    models = _models(model, window, horizon, panel, members, steps)
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # said once, of the last fit
        found = compare(
            models, panel, horizon, windows=windows, quantiles=levels,
            on_model=lambda name: display.phase(f"backtest of {name}"),
        )  # fmt: skip
    chosen = found.chosen if model == "auto" else models[0].name
    display.phase(f"fitting {chosen} to all of the history")
    with warnings.catch_warnings(record=True) as said_of_fit:
        warnings.simplefilter("always", UserWarning)
        future = found.models[chosen].fit(panel).predict(horizon, levels)
    for warning in said_of_fit:
        display.line(f"note     {warning.message}")
    folder = made_folder(out or _free(Path("forecasts") / data.stem))
    tables = ("forecast.csv", "forecast.parquet")
    for name in tables:
        future.write(folder / name)
    display.phase("writing the report")
    said = findings(found, future, asked=model != "auto", source=data.name)
    said["left out"] = short
    page = write_forecasts(said, folder / "report.html", files=tables, version=__version__)
    result = {
        "data": str(data), "series": len(panel), "frequency": str(panel.frequency), "horizon": horizon,
        "windows": windows, "left out": left_out, "chosen": chosen, "backtest": found.table(),
        "last window": found.table(slice(-1, None))[chosen] if windows > 1 else None,
        "calibration": {f"{q:g}": share for q, share in found.backtests[chosen].calibration().items()},
        "baseline": said["baseline"], "intervals over": said["over"], "intervals": said["models"],
        "intervals of the last window": said["fresh"],
    }  # fmt: skip
    files.write(folder / "backtest.json", files.to_json(result))
    display.close()
    if as_json:
        print_json(result | {"folder": str(folder)})
        return
    _show(display, result, asked=model != "auto")
    display.line(f"forecast {folder / tables[0]}")
    display.line(f"report   {page}")


def _long_enough(panel: Any, window: int, horizon: int, windows: int) -> tuple[Any, dict[str, int]]:
    """Return the series that have a window of history at every cutoff, and the lengths of the others by name.

    Where there is none, all are returned: the backtest says what is wrong.
    """
    kept = panel.lengths >= window + windows * horizon
    if kept.all() or not kept.any():
        return panel, {}
    short = {str(panel.ids[i]): int(panel.lengths[i]) for i in np.flatnonzero(~kept)}
    return panel.select(np.flatnonzero(kept)), short


def _short(left_out: dict[str, int], window: int, horizon: int, windows: int) -> str:
    """Return in words which series are left out, and why."""
    shown = ", ".join(f"'{name}' ({length:,})" for name, length in list(left_out.items())[:5])
    more = ", ..." if len(left_out) > 5 else ""
    needed = f"a window of {window} and {windows} of {horizon} steps for the backtest need"
    least = window + windows * horizon
    return f"{len(left_out):,} series of fewer than {least:,} observations, which {needed}: {shown}{more}"


def _models(model: str, window: int, horizon: int, panel: Any, members: int, steps: int) -> list[Any]:
    """Return the model that was asked for, first, and the baselines it is compared with."""
    from populace.forecasting import ARIMA, ETS, Drift, Forecaster, Linear, Naive, SeasonalNaive, Theta

    made: dict[str, Any] = {"naive": Naive(), "seasonal-naive": SeasonalNaive(), "drift": Drift()}
    made |= {"theta": Theta(), "ets": ETS()}
    if model == "arima":  # a second and more for each series
        made["arima"] = ARIMA()
    scale = "difference" if len(panel) > 1 else "none"
    made["ridge"] = Linear(window=window, horizon=horizon, penalty=1e-2, scale=scale)
    network = model if model in _NETWORKS else "nlinear"
    made[network] = Forecaster(
        window=window, horizon=horizon, network=network, members=members, steps=steps, learning_rate=5e-3,
        scale=scale,
    )  # fmt: skip
    if model in ("auto", network):
        names = [network, *(name for name in made if name != network)]
    else:  # no network is trained that nobody asked for
        names = [model, *(name for name in made if name not in (model, network))]
    return [made[name] for name in names]


def _show(display: Display, result: dict[str, Any], *, asked: bool) -> None:
    """Print the table of the backtest, and how the model was chosen."""
    chosen, backtest = result["chosen"], result["backtest"]
    interval = [name for name in backtest[chosen] if name.startswith("coverage")][:1]
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("model")
    for name in (*_SHOWN, *interval):
        table.add_column(name, justify="right")
    for name, row in sorted(backtest.items(), key=lambda item: item[1]["WQL"]):
        cells = [f"{row[metric]:.4g}" for metric in _SHOWN] + [f"{100 * row[c]:.0f} %" for c in interval]
        table.add_row(name, *cells, style="bold" if name == chosen else None)
    if not display.silent:
        display.console.print(table)
    if asked:
        how = "as asked"
    elif result["windows"] > 1:
        how = "chosen by the windows before the last"
    else:
        how = "chosen by the one window, so its numbers are flattering"
    display.line(f"model    {chosen}, {how}")
    last = result["last window"]
    if last and not asked:
        display.line(
            f"fresh    WQL {last['WQL']:.4g} and MASE {last['MASE']:.4g} in the last window, which took no "
            "part in the choice"
        )
    shares = ", ".join(
        f"{100 * share:.0f} % below {100 * float(q):g} %" for q, share in result["calibration"].items()
    )
    display.line(f"quantile {shares} (observed share below each quantile)")


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(
            f"quantiles must be numbers between 0 and 1, as 0.05,0.5,0.95, got {text!r:.60}"
        ) from None


def _free(folder: Path) -> Path:
    """Return the folder, or the first of `folder-2`, `folder-3` and so on that does not exist."""
    others = (folder.with_name(f"{folder.name}-{number}") for number in itertools.count(2))
    return next(one for one in itertools.chain([folder], others) if not one.exists())
