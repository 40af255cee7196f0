"""The forecasts that every other model must beat: mean, naive, seasonal naive, drift.

Source: R. J. Hyndman, G. Athanasopoulos (2021), Forecasting: principles and practice, 3rd edition,
sections 5.2 and 5.5 (https://otexts.com/fpp3), also for the standard deviations.
"""

from dataclasses import dataclass

import numpy as np

from populace.forecasting.baselines.local import LocalModel, Moments, SeasonalModel, residual_deviation
from populace.forecasting.evaluation.point_metrics import mean


@dataclass(frozen=True)
class HistoricalMean(LocalModel):
    """Every step is the mean of the history; deviation `s sqrt(1 + 1/T)`."""

    def moments(self, history: np.ndarray, horizon: int, season: int) -> Moments:
        """Return the mean, and the deviation of a new observation about it."""
        del season
        level = mean(history)[:, None]
        count = (~np.isnan(history)).sum(1, keepdims=True)
        return _repeated(level, residual_deviation(history - level, 1) * np.sqrt(1 + 1 / count), horizon)


@dataclass(frozen=True)
class Naive(LocalModel):
    """Every step is the last observation; deviation `s sqrt(h)`, with s of the differences."""

    def moments(self, history: np.ndarray, horizon: int, season: int) -> Moments:
        """Return the last observation, and the deviation of a random walk."""
        del season
        last, place = _last(history)
        steps = np.arange(horizon) + history.shape[1] - place
        return _repeated(last, residual_deviation(np.diff(history)) * np.sqrt(steps), horizon)


@dataclass(frozen=True)
class Drift(LocalModel):
    """The line through the first and the last observation; deviation `s sqrt(h (1 + h / (T - 1)))`."""

    def moments(self, history: np.ndarray, horizon: int, season: int) -> Moments:
        """Return the line, and the deviation of a random walk whose drift is estimated."""
        del season
        last, place = _last(history)
        first, before = _last(history[:, ::-1])
        steps = np.arange(horizon) + history.shape[1] - place
        span = np.maximum(place - (history.shape[1] - 1 - before), 1)  # where it is 0, so is the slope
        slope = (last - first) / span
        deviation = residual_deviation(np.diff(history) - slope, 1)
        return Moments(last + slope * steps, deviation * np.sqrt(steps * (1 + steps / span)))


@dataclass(frozen=True)
class SeasonalNaive(SeasonalModel):
    """Every step is the observation a season before; deviation `s sqrt(k + 1)` after k whole seasons.

    A series shorter than a season is forecast as by [`Naive`][populace.forecasting.Naive].
    """

    def moments(self, history: np.ndarray, horizon: int, season: int) -> Moments:
        """Return the last season again and again."""
        if history.shape[1] < season:
            return Naive().moments(history, horizon, 1)
        steps = np.arange(horizon)
        deviation = residual_deviation(history[:, season:] - history[:, :-season])
        return Moments(
            _last_season(history, season)[:, steps % season], deviation * np.sqrt(steps // season + 1)
        )


def _repeated(level: np.ndarray, deviation: np.ndarray, horizon: int) -> Moments:
    shape = (len(level), horizon)
    return Moments(np.broadcast_to(level, shape), np.broadcast_to(deviation, shape))


def _last(history: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the last observation of each series that is known, and its place, (n, 1) each."""
    place = history.shape[1] - 1 - np.argmax(~np.isnan(history[:, ::-1]), 1)[:, None]
    return np.take_along_axis(history, place, 1), place


def _last_season(history: np.ndarray, season: int) -> np.ndarray:
    """Return the last observation of each phase, the next phase first; the mean where a phase has none."""
    count, length = history.shape
    phases = history[:, length % season :].reshape(count, -1, season)
    known = ~np.isnan(phases)
    latest = phases.shape[1] - 1 - np.argmax(known[:, ::-1], 1)
    values = np.take_along_axis(phases, latest[:, None], 1)[:, 0]
    return np.where(known.any(1), values, mean(history)[:, None])
