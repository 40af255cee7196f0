"""Exponential smoothing: level, trend and season, each updated by a share of every one-step error.

Sources: R. J. Hyndman, A. B. Koehler, J. K. Ord, R. D. Snyder (2008), Forecasting with exponential smoothing:
the state space approach (models with additive errors, section 3.4 their variances, 7.2 the choice by AICc);
G. E. P. Box, D. R. Cox (1964), An analysis of transformations, for the likelihood of logarithms.
"""

import itertools
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from populace.core.errors import unknown
from populace.forecasting.baselines.local import Moments, SeasonalModel, interpolated
from populace.forecasting.baselines.seasonality import seasonal_pattern

_START = {"level": 0.3, "trend": 0.05, "season": 0.1, "damping": 0.95}
_RANGE = {"level": (1e-4, 0.9999), "trend": (1e-4, 0.9999), "season": (1e-4, 0.9999), "damping": (0.8, 0.98)}
_ROUNDS = 14
_TRENDS = ("none", "additive", "damped")


@dataclass(frozen=True)
class ETS(SeasonalModel):
    """`y_t = l + p b + s + e`, with `l += p b + a e`, `b = p b + c e`, `s += g e` at every step.

    All of level, level and trend, and level and damped trend, with a season and without one, of the series
    and of its logarithm where it is positive, are fitted; each series takes the one of the least AICc.
    Smoothing weights have the least squared one-step error, by a search in each direction; initial states are
    those of the classical decomposition. Quantiles of a logarithm are lognormal.

    Attributes:
        trend: `none`, `additive` or `damped`; by default all are tried.
        logarithm: whether logarithms of positive series are smoothed; by default both are tried.

    """

    trend: str | None = None
    logarithm: bool | None = None

    def fit(self, data: Any) -> Self:
        """Keep the history.

        Raises:
            UsageError: a trend that is none.

        """
        if self.trend not in (None, *_TRENDS):
            raise unknown("trend", str(self.trend), _TRENDS)
        return super().fit(data)

    def moments(self, history: np.ndarray, horizon: int, season: int) -> Moments:
        """Return the forecast of each series' best model, and its deviation."""
        filled = interpolated(history)
        count, length = filled.shape
        if length < 5:  # too short for weights: the last observation, as a level alone would have it
            return Moments(np.repeat(filled[:, -1:], horizon, 1), np.zeros((count, horizon)))
        best = np.full(count, np.inf)
        mean, deviation = np.zeros((count, horizon)), np.zeros((count, horizon))
        logarithms = np.zeros(count, bool)
        seasons = (1, season) if season > 1 and length >= 2 * season + 3 else (1,)
        trends = _TRENDS if self.trend is None else (self.trend,)
        for logged, period, trend in itertools.product((False, True), seasons, trends):
            chosen = np.flatnonzero(self._tried(filled, logged))
            if not len(chosen):
                continue
            series = np.log(filled[chosen]) if logged else filled[chosen]
            criterion, expected, spread = _Smoother(period, trend).fitted(series, horizon)
            if logged:
                criterion = criterion + 2 * series.sum(1)
            better = criterion < best[chosen]
            places = chosen[better]
            best[places], mean[places], deviation[places] = (
                criterion[better],
                expected[better],
                spread[better],
            )
            logarithms[places] = logged
        return Moments(mean, deviation, logarithms)

    def _tried(self, series: np.ndarray, logged: bool) -> np.ndarray:
        """Return which series are smoothed as they are, or by their logarithms, (n,)."""
        positive = (series > 0).all(1)
        if logged:
            return np.logical_and(positive, self.logarithm is not False)
        return np.logical_or(~positive, self.logarithm is not True)


@dataclass(frozen=True)
class _States:
    """Level, trend and season (period first) of n series and K settings, (n, K) each."""

    level: np.ndarray
    trend: np.ndarray
    season: np.ndarray


@dataclass(frozen=True)
class _Smoother:
    """One model, for many series and many settings of its weights at once."""

    period: int
    trend: str

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the weights."""
        return (
            "level",
            *(("trend",) if self.trend != "none" else ()),
            *(("season",) if self.period > 1 else ()),
            *(("damping",) if self.trend == "damped" else ()),
        )

    def fitted(self, series: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return AICc (n,), and the mean and deviation of each step (n, horizon)."""
        names, length = self.parameters, series.shape[1]
        low, high = (np.array([_RANGE[name][i] for name in names]) for i in (0, 1))
        best = np.tile([_START[name] for name in names], (len(series), 1))
        start = self.initial(series)
        error = self.run(series, best[:, None], start)[0][:, 0]
        width = np.full(len(names), 0.3) * (high - low)
        for _ in range(_ROUNDS):
            moves = np.concatenate([np.diag(width), -np.diag(width)])
            tried = np.clip(best[:, None] + moves, low, high)
            errors = self.run(series, tried, start)[0]
            place = np.argmin(errors, 1)
            rows = np.arange(len(series))
            better = errors[rows, place] < error
            best = np.where(better[:, None], tried[rows, place], best)
            error = np.where(better, errors[rows, place], error)
            width = width * 0.7
        squared, states = self.run(series, best[:, None], start)
        parameters = len(names) + 2 + (self.trend != "none") + (self.period > 1) * (self.period - 1)
        size = np.maximum(squared[:, 0], 1e-20 * np.maximum(np.sum(series**2, 1), 1e-30))
        penalty = 2 * parameters + 2 * parameters * (parameters + 1) / max(length - parameters - 1, 0.5)
        criterion = length * np.log(size / length) + penalty
        freedom = max(length - parameters, 1)
        mean, growth = self.ahead(best, states, length, horizon)
        return criterion, mean, np.sqrt(size / freedom)[:, None] * growth

    def initial(self, series: np.ndarray) -> _States:
        """Return the states before the first observation, by the classical decomposition of the series."""
        count, length = series.shape
        pattern = np.zeros((count, self.period))
        if self.period > 1:
            pattern = seasonal_pattern(series, self.period, multiply=False)
        early = min(length, max(10, 2 * self.period))
        adjusted = (series - pattern[:, np.arange(length) % self.period])[:, :early]
        steps = np.arange(early) - (early - 1) / 2
        slope = adjusted @ steps / (steps @ steps) if self.trend != "none" else np.zeros(count)
        level = adjusted.mean(1) - slope * (early + 1) / 2
        return _States(level[:, None], slope[:, None], pattern.T[:, :, None])

    def run(self, series: np.ndarray, weights: np.ndarray, start: _States) -> tuple[np.ndarray, _States]:
        """Return the sum of squared one-step errors, (n, K), and the last states.

        Args:
            series: (n, T).
            weights: (n, K, parameters).
            start: states, (n, 1).

        """
        given = dict(zip(self.parameters, np.moveaxis(weights, -1, 0)))
        a, damping = given["level"], given.get("damping", 1.0)
        # weights of trend and season are shares of what is admissible beside that of the level
        c = given["trend"] * a if "trend" in given else None
        g = given["season"] * (1 - a) if "season" in given else None
        shape = weights.shape[:2]
        level, total = np.broadcast_to(start.level, shape), np.zeros(shape)
        trend = np.broadcast_to(start.trend, shape)
        season = np.repeat(start.season, shape[1], 2)
        for t, value in enumerate(series.T[:, :, None]):
            phase = t % self.period
            expected = level if c is None else level + damping * trend
            error = value - expected
            if g is not None:
                error = error - season[phase]
                season[phase] += g * error
            total += error * error
            level = expected + a * error
            if c is not None:
                trend = damping * trend + c * error
        return total, _States(level, trend, season)

    def ahead(
        self, weights: np.ndarray, states: _States, length: int, horizon: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean of each step, and the root of its variance over that of an error, (n, horizon)."""
        given = dict(zip(self.parameters, weights.T[:, :, None]))
        a, damping = given["level"], given.get("damping", np.ones((len(weights), 1)))
        steps = np.arange(1, horizon + 1)
        damped = np.cumsum(damping**steps, 1)
        phases = (length + steps - 1) % self.period
        mean = states.level + damped * states.trend + states.season[phases, :, 0].T
        effect = np.broadcast_to(a, (len(weights), horizon))
        if "trend" in given:
            effect = effect + given["trend"] * a * damped
        if "season" in given:
            effect = effect + given["season"] * (1 - a) * (steps % self.period == 0)
        grown = np.cumsum(effect**2, 1) - effect**2  # of the steps before
        return mean, np.sqrt(1 + grown)
