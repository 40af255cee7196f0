"""Scores of a backtest with intervals, and how much of a baseline's loss a model saves."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from populace.core.errors import unknown
from populace.forecasting.evaluation.backtest import Backtest, intervals
from populace.forecasting.evaluation.block_bootstrap import BlockBootstrap
from populace.forecasting.evaluation.point_metrics import mean
from populace.statistics import Interval
from populace.statistics.intervals.levels import normal

BASELINES = ("seasonal-naive", "naive")
"""The models that others are measured by, the first that is there."""


@dataclass(frozen=True)
class Scores:
    """Scores of one model over some windows, each with its 95 % interval over series and blocks of time.

    Attributes:
        wql: weighted quantile loss.
        mase: mean absolute scaled error, over windows and series that have one.
        mae: mean absolute error, in the unit of the series.
        calibration: share of observations at or below each quantile, by its level.
        coverage: share within the widest central interval; None if no pair of quantiles makes one.
        relative: WQL over the baseline's, on the same resamples; below 1 the model is better.
        improvement: probability that a forecast (of one series from one cutoff) has less mean pinball loss
            than the baseline's; half of it where both are equal.

    """

    wql: Interval
    mase: Interval
    mae: Interval
    calibration: dict[float, Interval]
    coverage: Interval | None
    relative: Interval
    improvement: Interval

    def as_dict(self) -> dict[str, Any]:
        """Return the scores for JSON, each as `[value, low, high]`."""
        single = ("wql", "mase", "mae", "coverage", "relative", "improvement")
        found = {name: score.as_list() for name in single if (score := getattr(self, name)) is not None}
        shares = {f"{q:g}": share.as_list() for q, share in self.calibration.items()}
        return found | {"calibration": shares}


def scores(
    backtests: Mapping[str, Backtest], baseline: str | None = None, *, seed: int = 0
) -> tuple[dict[str, Scores], str, BlockBootstrap]:
    """Return the scores of models by name, the baseline's name, and how intervals were made.

    Args:
        backtests: by name, of the same windows.
        baseline: whom the models are compared with; by default `seasonal-naive` or `naive`, or else the first
            model.
        seed: of the resamples.

    Raises:
        UsageError: a baseline that was not backtested.

    """
    if baseline is None:
        baseline = next((name for name in BASELINES if name in backtests), next(iter(backtests)))
    elif baseline not in backtests:
        raise unknown("baseline", baseline, list(backtests))
    first = backtests[baseline]
    times = _times(first)
    resampling = BlockBootstrap(first.actual.shape[1], int(times.max()) + 1, first.actual.shape[2], seed=seed)
    scales = first.scales()
    against = _losses(first)
    found = {
        name: _scores(backtest, against, scales, times, resampling) for name, backtest in backtests.items()
    }
    return found, baseline, resampling


def _scores(
    backtest: Backtest, against: np.ndarray, scales: np.ndarray, times: np.ndarray, resampling: BlockBootstrap
) -> Scores:
    actual, levels = backtest.actual, backtest.quantiles
    known = ~np.isnan(actual)

    def over(above: np.ndarray, below: np.ndarray) -> Interval:
        rows = (_by_time(np.where(known, part, 0.0), times) for part in (above, below))
        return resampling.interval(*rows)

    error = np.abs(actual - backtest.point)
    # A window of a series counts as one, however many of its observations are known.
    share = known / np.maximum(known.sum(-1, keepdims=True), 1)
    scale = np.where(scales > 0, scales, np.nan)[..., None]
    scaled = np.isfinite(scale)
    inside = None
    for low, high in intervals(levels)[:1]:
        inside = (actual >= _quantile(backtest, low)) & (actual <= _quantile(backtest, high))
    losses = _losses(backtest)
    mine, theirs = mean(losses)[..., None], mean(against)[..., None]
    better = np.where(mine == theirs, 0.5, mine < theirs)
    forecasts = int(known.any(-1).sum())
    return Scores(
        wql=over(2 * losses, np.abs(actual)),
        mase=over(np.where(scaled, share * error / scale, 0.0), np.where(scaled, share, 0.0)),
        mae=over(share * error, share),
        calibration={q: over(actual <= _quantile(backtest, i), known) for i, q in enumerate(levels)},
        coverage=None if inside is None else over(inside, known),
        relative=over(losses, against),
        improvement=_at_least_wilson(over(share * better, share), forecasts),
    )


def _losses(backtest: Backtest) -> np.ndarray:
    """Return the pinball loss of each observation, averaged over quantiles, (W, n, horizon)."""
    total = np.zeros_like(backtest.actual)
    for i, q in enumerate(backtest.quantiles):  # one after the other: of 100,000 series they fill the memory
        error = backtest.actual - _quantile(backtest, i)
        total += np.maximum(q * error, (q - 1) * error)
    return total / len(backtest.quantiles)


def _quantile(backtest: Backtest, place: int) -> np.ndarray:
    """Return one quantile, (W, n, horizon)."""
    return np.stack([forecast.values[..., place] for forecast in backtest.forecasts])


def _times(backtest: Backtest) -> np.ndarray:
    """Return the place in time of each window's steps, (W, horizon): 0 to T - 1, as those that overlap share.

    Places are counted back from the end of each series.
    """
    absolute = np.arange(backtest.actual.shape[2]) - np.asarray(backtest.cutoffs)[:, None]
    return np.unique(absolute, return_inverse=True)[1].reshape(absolute.shape)


def _by_time(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return the sums (W, n, horizon) at each place in time, (n, T)."""
    found = np.zeros((values.shape[1], int(times.max()) + 1))
    for window, places in zip(values, times):
        found[:, places] += window
    return found


def _at_least_wilson(found: Interval, forecasts: int) -> Interval:
    """Return the interval, no narrower than Wilson's of as many independent forecasts.

    Where a model wins everywhere, every resample says so too, and the bootstrap alone would claim certainty.
    Source: E. B. Wilson (1927), Probable inference, JASA 22.
    """
    if not math.isfinite(found.low) or not forecasts:
        return found
    z = normal(0.95)
    middle = (found.value + z * z / (2 * forecasts)) / (1 + z * z / forecasts)
    spread = found.value * (1 - found.value) / forecasts + (z / (2 * forecasts)) ** 2
    half = z * math.sqrt(spread) / (1 + z * z / forecasts)
    return Interval(
        found.value, max(0.0, min(found.low, middle - half)), min(1.0, max(found.high, middle + half))
    )
