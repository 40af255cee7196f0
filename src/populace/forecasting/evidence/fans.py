"""Fans: quantile bands of a few series over the end of their history and behind it, as plain numbers."""

from typing import Any

import numpy as np

from populace.forecasting.data.panel import Panel
from populace.forecasting.evaluation.backtest import Backtest, intervals
from populace.forecasting.forecast import Forecast

EACH = 4
"""Series that are drawn of each kind: the first, the best and the worst."""
POINTS = 200
"""Points of a line at the most: of a longer history the end is drawn, of a longer horizon every second, third
and so on."""
_BANDS = 3


def drawn_series(errors: np.ndarray) -> list[tuple[int, str]]:
    """Return the places of the series to draw, and why: at most 4 of each kind, each series once.

    Args:
        errors: (n,) by which they rank; NaN last, drawn only as one of the first.

    """
    known = np.flatnonzero(np.isfinite(errors))
    ranked = known[np.argsort(errors[known], kind="stable")]
    if len(errors) <= 3 * EACH:  # all of them
        best = int(ranked[0]) if len(ranked) > 1 else -1
        worst = int(ranked[-1]) if len(ranked) > 1 else -1
        names = {best: "best", worst: "worst"}
        return [(i, names.get(i, "")) for i in range(len(errors))]
    chosen = {int(i): "worst" for i in ranked[::-1][:EACH]}
    for i in ranked[:EACH]:
        chosen.setdefault(int(i), "best")
    first = [i for i in range(len(errors)) if i not in chosen][:EACH]
    return [(i, "first") for i in first] + list(chosen.items())


def fan(backtest: Backtest, future: Forecast, index: int) -> dict[str, Any]:
    """Return the end of one series' history, its fan in the last window and that of what comes.

    Stamps are text as the local clock shows them, or whole numbers; bands are of central intervals, the
    widest first, at most three.
    """
    panel, horizon = future.panel, future.horizon
    length = int(panel.lengths[index])
    cutoff = backtest.cutoffs[-1]
    shown = min(length, max(4 * horizon, 2 * backtest.season, cutoff + horizon), max(POINTS, cutoff))
    last, steps = backtest.forecasts[-1], backtest.actual.shape[2]
    window = length - cutoff + np.arange(steps)
    ahead = panel.ends(horizon)[index] if len(panel) == 1 else panel.select([index]).ends(horizon)[0]
    history = panel.stamps(index, length - shown)
    tested = panel.stamps(index, int(window[0]), steps)
    return {
        "id": str(panel.ids[index]),
        "history": {"x": _stamps(panel, history), "y": _plain(panel[index][length - shown :])},
        "backtest": _bands(panel, tested, last, index),
        "future": _bands(panel, ahead, future, index),
    }


def _bands(panel: Panel, stamps: np.ndarray, forecast: Forecast, index: int) -> dict[str, Any]:
    steps = np.unique(np.linspace(0, len(stamps) - 1, min(len(stamps), POINTS)).round().astype(int))
    values, levels = forecast.values[index][steps], forecast.quantiles
    pairs = intervals(levels)
    if len(pairs) > _BANDS:
        pairs = [pairs[i] for i in np.linspace(0, len(pairs) - 1, _BANDS).round().astype(int)]
    middle = next((i for i, q in enumerate(levels) if abs(q - 0.5) < 1e-9), None)
    line = forecast.point[index][steps] if middle is None else values[:, middle]
    return {
        "x": _stamps(panel, stamps[steps]),
        "line": _plain(line),
        "line is": "point forecast" if middle is None else "median",
        "bands": [
            {
                "level": round(levels[high] - levels[low], 9),
                "low": _plain(values[:, low]),
                "high": _plain(values[:, high]),
            }
            for low, high in pairs
        ],
    }


def _stamps(panel: Panel, utc: np.ndarray) -> list[Any]:
    if panel.clock.kind == "integer":
        return [int(t) for t in utc]
    local = panel.clock.local(utc).astype("datetime64[us]")
    unit = "D" if panel.clock.kind == "date" else "s"
    return [str(t).replace("T", " ") for t in local.astype(f"datetime64[{unit}]")]


def _plain(values: np.ndarray) -> list[float | None]:
    """Return numbers for JSON, six digits of each."""
    return [float(f"{v:.6g}") if np.isfinite(v) else None for v in values]
