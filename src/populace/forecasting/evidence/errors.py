"""What a model's errors look like: by step of the horizon, all together, and of the worst series."""

from typing import Any

import numpy as np

from populace.forecasting.evaluation.backtest import Backtest, intervals
from populace.forecasting.evaluation.point_metrics import mean

WORST = 20
"""Series that are listed."""
STEPS = 200
"""Steps of the horizon that are listed at the most."""
_BINS = 9, 41
_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def series_errors(backtest: Backtest) -> np.ndarray:
    """Return the MASE of each series over all windows, (n,); of one that nothing scales it is NaN."""
    error = np.abs(backtest.actual - backtest.point)
    scaled = mean(error) / np.where((scale := backtest.scales()) > 0, scale, np.nan)
    return mean(scaled.T)


def coverage_by_step(backtest: Backtest) -> dict[str, Any] | None:
    """Return the share of observations within the widest central interval, step by step.

    None where no two quantiles make an interval.
    """
    pairs = intervals(backtest.quantiles)
    if not pairs:
        return None
    inside, known = _inside(backtest, *pairs[0]), ~np.isnan(backtest.actual)
    steps = _steps(backtest)
    count = known.sum((0, 1))[steps]
    share = inside.sum((0, 1))[steps] / np.where(count == 0, np.nan, count)
    low, high = pairs[0]
    return {
        "nominal": round(backtest.quantiles[high] - backtest.quantiles[low], 9),
        "step": (steps + 1).tolist(),
        "share": _plain(share),
        "observations": count.tolist(),
    }


def residuals(backtest: Backtest) -> dict[str, Any]:
    """Return quantiles of `observation - point forecast` by step, and how often errors of each size are.

    Errors of several series are divided by each one's scale of the MASE, so that they can be put together;
    one that nothing scales is left out, and counted.
    """
    errors = backtest.actual - backtest.point
    several = errors.shape[1] > 1
    unscaled = 0
    if several:
        scale = backtest.scales()
        unscaled = int((~(scale > 0)).any(0).sum())
        errors = errors / np.where(scale > 0, scale, np.nan)[..., None]
    steps = _steps(backtest)
    found = []
    for step in steps:
        known = errors[..., step][np.isfinite(errors[..., step])]
        found.append(np.quantile(known, _LEVELS) if known.size else np.full(len(_LEVELS), np.nan))
    known = errors[np.isfinite(errors)]
    bins: dict[str, Any] = {"edges": [], "count": [], "outside": 0}
    if known.size:
        low, high = np.quantile(known, [0.005, 0.995])
        reach = max(abs(float(low)), abs(float(high))) or 1.0
        bars = min(max(int(2 * known.size**0.5), _BINS[0]), _BINS[1])
        count, edges = np.histogram(known, bars, (-reach, reach))
        bins = {
            "edges": _plain(edges),
            "count": count.tolist(),
            "outside": int(known.size - count.sum()),
        }
    table = np.asarray(found)
    return {
        "scaled": several,
        "unscaled": unscaled,
        "step": (steps + 1).tolist(),
        "quantiles": {f"{q:g}": _plain(table[:, i]) for i, q in enumerate(_LEVELS)},
        "mean": None if not known.size else float(known.mean()),
        "histogram": bins,
    }


def worst(backtest: Backtest, against: Backtest) -> list[dict[str, Any]]:
    """Return the series with the highest MASE, at most 20, beside the baseline's error there."""
    found, theirs = series_errors(backtest), series_errors(against)
    known = np.flatnonzero(np.isfinite(found))
    order = known[np.argsort(-found[known], kind="stable")][:WORST]
    pairs = intervals(backtest.quantiles)
    seen = ~np.isnan(backtest.actual)
    inside = _inside(backtest, *pairs[0]).sum((0, 2)) if pairs else None
    count = seen.sum((0, 2))
    error = mean(mean(np.abs(backtest.actual - backtest.point)).T)
    return [
        {
            "id": str(backtest.panel.ids[i]),
            "mase": float(found[i]),
            "baseline": float(theirs[i]) if np.isfinite(theirs[i]) else None,
            "mae": float(error[i]),
            "coverage": None if inside is None else float(inside[i] / count[i]),
            "observations": int(backtest.panel.lengths[i]),
        }
        for i in order
    ]


def _inside(backtest: Backtest, low: int, high: int) -> np.ndarray:
    ends = [np.stack([forecast.values[..., i] for forecast in backtest.forecasts]) for i in (low, high)]
    return (backtest.actual >= ends[0]) & (backtest.actual <= ends[1])


def _steps(backtest: Backtest) -> np.ndarray:
    horizon = backtest.actual.shape[2]
    return np.unique(np.linspace(0, horizon - 1, min(horizon, STEPS)).round().astype(int))


def _plain(values: np.ndarray) -> list[float | None]:
    return [float(f"{v:.6g}") if np.isfinite(v) else None for v in values]
