"""The forecasts that every other model must beat: mean, naive, seasonal naive, drift.

Source: R. J. Hyndman, G. Athanasopoulos (2021), Forecasting: principles and practice, 3rd edition,
sections 5.2 and 5.5 (https://otexts.com/fpp3), also for the standard deviations.
"""

from dataclasses import dataclass

import numpy as np

from populace.forecasting.baselines.local import LocalModel, SeasonalModel, residual_deviation


@dataclass(frozen=True)
class HistoricalMean(LocalModel):
    """Every step is the mean of the history; deviation `s sqrt(1 + 1/T)`."""

    def moments(self, history: np.ndarray, horizon: int, season: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean, and the deviation of a new observation about it."""
        del season
        known = history[~np.isnan(history)]
        mean = known.mean()
        deviation = residual_deviation(known - mean, 1) * np.sqrt(1 + 1 / len(known))
        return np.full(horizon, mean), np.full(horizon, deviation)


@dataclass(frozen=True)
class Naive(LocalModel):
    """Every step is the last observation; deviation `s sqrt(h)`, with s of the differences."""

    def moments(self, history: np.ndarray, horizon: int, season: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the last observation, and the deviation of a random walk."""
        del season
        last, behind = _last(history)
        steps = np.arange(1, horizon + 1) + behind
        return np.full(horizon, last), residual_deviation(np.diff(history)) * np.sqrt(steps)


@dataclass(frozen=True)
class Drift(LocalModel):
    """The line through the first and the last observation; deviation `s sqrt(h (1 + h / (T - 1)))`."""

    def moments(self, history: np.ndarray, horizon: int, season: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the line, and the deviation of a random walk whose drift is estimated."""
        del season
        places = np.flatnonzero(~np.isnan(history))
        steps = np.arange(1, horizon + 1) + len(history) - 1 - places[-1]
        if len(places) < 2:
            return np.full(horizon, history[places[0]]), np.zeros(horizon)
        span = int(places[-1] - places[0])
        slope = (history[places[-1]] - history[places[0]]) / span
        deviation = residual_deviation(np.diff(history) - slope, 1)
        return history[places[-1]] + slope * steps, deviation * np.sqrt(steps * (1 + steps / span))


@dataclass(frozen=True)
class SeasonalNaive(SeasonalModel):
    """Every step is the observation a season before; deviation `s sqrt(k + 1)` after k whole seasons.

    A series shorter than a season is forecast as by [`Naive`][populace.forecasting.Naive].
    """

    def moments(self, history: np.ndarray, horizon: int, season: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the last season again and again."""
        if len(history) < season:
            return Naive().moments(history, horizon, 1)
        last = _last_season(history, season)
        steps = np.arange(horizon)
        deviation = residual_deviation(history[season:] - history[:-season])
        return last[steps % season], deviation * np.sqrt(steps // season + 1)


def _last(history: np.ndarray) -> tuple[float, int]:
    """Return the last observation, and how many steps are missing behind it."""
    place = np.flatnonzero(~np.isnan(history))[-1]
    return float(history[place]), len(history) - 1 - int(place)


def _last_season(history: np.ndarray, season: int) -> np.ndarray:
    """Return the last observation of each phase, the next phase first; the mean where a phase has none."""
    whole = len(history) // season * season
    phases = history[len(history) - whole :].reshape(-1, season)
    known = ~np.isnan(phases)
    latest = known.shape[0] - 1 - np.argmax(known[::-1], 0)
    values = phases[latest, np.arange(season)]
    return np.where(known.any(0), values, np.nanmean(history))
