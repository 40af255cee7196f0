"""Conformal quantiles on top of any model: the errors it really made, on windows it was not fitted to.

Sources: R. J. Tibshirani et al. in A. N. Angelopoulos, S. Bates (2021), A gentle introduction to conformal
prediction (split conformal); I. Gibbs, E. Candes (2021), Adaptive conformal inference under distribution
shift.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from populace.core.errors import UsageError
from populace.forecasting.data.given_panel import panel_of
from populace.forecasting.data.panel import Panel
from populace.forecasting.evaluation.backtest import backtest
from populace.forecasting.evaluation.quantile_metrics import check_quantiles
from populace.forecasting.forecast import QUANTILES, Forecast, check_horizon
from populace.forecasting.model import ForecastModel


@dataclass(frozen=True)
class Pending:
    """Forecasts of which not all has come yet.

    Attributes:
        ages: (P,) how many steps ago each was made, oldest first.
        points: (P, n, horizon).
        offsets: (P, n, horizon, Q) what was added to them for the tracked quantiles.

    """

    ages: np.ndarray
    points: np.ndarray
    offsets: np.ndarray

    def joined(self, newer: "Pending") -> "Pending":
        """Return these and newer ones."""
        return Pending(
            np.concatenate([self.ages, newer.ages]),
            np.concatenate([self.points, newer.points]),
            np.concatenate([self.offsets, newer.offsets]),
        )


@dataclass(frozen=True)
class Conformal(ForecastModel):
    """Quantiles of another model's errors, per series and step, from a backtest within the history.

    The quantile of level q is the point forecast plus the order statistic of rank `ceil((n + 1) q)` of n past
    errors y - f (the largest where there are too few). If past and future errors are exchangeable, at least a
    share q of future observations lies below it; errors that grow or drift over time break that promise, and
    the backtest's calibration shows by how much.

    Two things follow a drift. [`update`][populace.forecasting.model.ForecastModel.update] adds the errors
    of what came since and drops the oldest, so that the latest `windows` count. And with `adaptive` the
    level of each series and step is raised by that much times q for each observation above its quantile,
    and lowered by as much times 1 - q for each one below it, so that the share in the long run is q
    whatever the errors do.

    Attributes:
        model: what makes the point forecasts.
        windows: backtest windows, one error per step each.
        step: steps between the windows.
        pooled: share the errors of all series, each in units of its mean absolute error, where windows are
            few.
        refit: fit at each window; otherwise once, before the first.
        adaptive: step size of the levels; 0 keeps them. It learns while the model is updated.
        tracked: the levels of quantiles that adapt; others are those of the errors.

    """

    model: ForecastModel
    windows: int = 20
    step: int = 1
    pooled: bool = False
    refit: bool = False
    adaptive: float = 0.0
    tracked: tuple[float, ...] = QUANTILES
    horizon: int | None = None
    """Steps to calibrate for; needed before `fit`."""
    panel: Panel | None = None
    errors: np.ndarray | None = None
    """(W, n, horizon) errors of past forecasts, oldest first, NaN where nothing was observed; if fitted."""
    pending: Pending | None = None
    levels: np.ndarray | None = None
    """(n, horizon, Q) levels in place of the tracked ones."""

    @property
    def name(self) -> str:
        """The model's name, and what was done to it."""
        return f"{self.model.name}-conformal"

    def fit(self, data: Any) -> Self:
        """Backtest the model for its errors, and fit it to all of the history.

        Raises:
            UsageError: no horizon, or a history too short for the windows.

        """
        if self.horizon is None:
            raise UsageError("Conformal needs the horizon it is calibrated for; give horizon=...")
        if self.pooled and self.adaptive:
            raise UsageError("errors are either pooled or adaptive: levels are those of each series")
        panel = panel_of(data)
        found = backtest(
            self.model, panel, self.horizon, windows=self.windows, step=self.step, refit=self.refit,
            quantiles=(0.5,),
        )  # fmt: skip
        errors = found.actual - found.point
        levels = np.broadcast_to(check_quantiles(self.tracked), (*errors.shape[1:], len(self.tracked)))
        fitted = self.model.fit(panel)
        return replace(self, panel=panel, model=fitted, errors=errors, levels=levels, pending=None)

    def predict(self, horizon: int, quantiles: Sequence[float] = QUANTILES, *, data: Any = None) -> Forecast:
        """Forecast.

        Raises:
            UsageError: an unfitted model, or a horizon beyond the one it was calibrated for.

        """
        horizon, levels = check_horizon(horizon), check_quantiles(quantiles)
        if self.errors is None or self.horizon is None or self.levels is None:
            raise UsageError(f"{self.name} has not been fitted; call fit first")
        if horizon > self.horizon:
            raise UsageError(
                f"{self.name} is calibrated for {self.horizon} steps, got a horizon of {horizon}"
            )
        panel = self._history(data)
        point = self.model.predict(horizon, (0.5,), data=panel).point
        errors = self.errors[..., :horizon]
        if len(panel) != errors.shape[1]:
            raise UsageError(f"{self.name} was fitted to {errors.shape[1]:,} series, got {len(panel):,}")
        if self.pooled:
            others, size = _sizes(errors)
            shared = (errors / others).reshape(-1, 1, horizon)
            offsets = conformal_quantiles(shared, levels) * size[:, None, None]
        else:
            offsets = conformal_quantiles(errors, self._levels(levels)[:, :horizon])
        values = np.sort(point[..., None] + offsets, -1)
        return Forecast(panel, point, tuple(levels.tolist()), values, self.name)

    def _levels(self, asked: np.ndarray) -> np.ndarray:
        """Return the levels of errors, (n, horizon, Q), at which quantiles of the asked levels lie."""
        assert self.levels is not None
        tracked, found = check_quantiles(self.tracked), []
        for level in asked:
            place = np.flatnonzero(np.abs(tracked - level) < 1e-9)
            own = self.levels[..., place[0]] if place.size else np.full(self.levels.shape[:2], level)
            found.append(own)
        return np.stack(found, -1)

    def _continued_with(self, panel: Panel) -> Self:
        """Return the model with the errors of what came since, and levels that learned from them."""
        assert self.panel is not None
        assert self.errors is not None
        assert self.levels is not None
        gained = np.unique(panel.lengths - self.panel.lengths)
        if len(gained) > 1:
            raise UsageError(
                f"{self.name} needs as many new observations of each series; got {gained[0]} to {gained[-1]}"
            )
        since, horizon = int(gained[0]), self.errors.shape[2]
        model = self.model.update(panel)
        if since == 0:
            return replace(self, panel=panel, model=model)
        tracked = check_quantiles(self.tracked)
        offsets = conformal_quantiles(self.errors, self.levels)
        begun = np.arange(since, 0, -self.step)
        points = np.stack(
            [model.predict(horizon, (0.5,), data=panel.until(-int(age))).point for age in begun]
        )
        fresh = Pending(begun - since, points, np.broadcast_to(offsets, (len(begun), *offsets.shape)))
        pending = fresh if self.pending is None else self.pending.joined(fresh)
        ages = pending.ages + since
        known, found = _observed(panel, ages, horizon), pending.points
        errors = known - found
        above = np.where(np.isnan(errors)[..., None], 0.0, tracked - (errors[..., None] <= pending.offsets))
        seen = np.arange(horizon) < pending.ages[:, None]  # levels have learned from these already
        levels = self.levels + self.adaptive * np.where(seen[:, None, :, None], 0.0, above).sum(0)
        whole = np.concatenate([self.errors[: len(self.errors) - len(pending.ages) + len(begun)], errors])
        open_ = ages < horizon
        kept = Pending(ages[open_], found[open_], pending.offsets[open_])
        return replace(
            self, panel=panel, model=model, levels=levels, pending=kept,
            errors=whole[-(self.windows + int(open_.sum())) :],
        )  # fmt: skip


def _observed(panel: Panel, ages: np.ndarray, horizon: int) -> np.ndarray:
    """Return what came behind each cutoff, so many steps ago, (W, n, horizon); NaN where nothing has yet."""
    places = np.arange(horizon) - ages[:, None]
    ends = panel.offsets[1:][None, :, None]
    found = panel.values[np.minimum(places[:, None] + ends, ends - 1)]
    return np.where(places[:, None] < 0, found, np.nan)


def _sizes(errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean absolute error of each series, (n,), and for each window that of the other windows.

    An error that scaled itself would look smaller than the next one will: (W, n, 1) leaves it out.
    """
    known = ~np.isnan(errors)
    total, count = np.where(known, np.abs(errors), 0.0).sum(2), known.sum(2)
    size = total.sum(0) / np.maximum(count.sum(0), 1)
    rest = count.sum(0) - count
    others = np.where(rest > 0, (total.sum(0) - total) / np.maximum(rest, 1), size)
    return np.where(others > 0, others, 1.0)[..., None], np.where(size > 0, size, 1.0)


def conformal_quantiles(errors: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return conformal quantiles of errors, (n, horizon, Q).

    For a level of at least one half the order statistic of rank `ceil((W + 1) q)` of W errors, capped at the
    largest; below it the mirror image, so that intervals are as conservative at both ends.

    Args:
        errors: (W, n, horizon); NaN where an observation is missing.
        levels: (Q,), or (n, horizon, Q).

    Returns:
        NaN where a series has no error at all.

    """
    ordered = np.sort(errors, 0)  # NaN last
    count = (~np.isnan(errors)).sum(0)
    found = []
    for level in np.moveaxis(np.broadcast_to(levels, (*count.shape, levels.shape[-1])), -1, 0):
        upper = np.ceil((count + 1) * np.maximum(level, 1 - level)) - 1
        rank = np.where(level >= 0.5, np.minimum(upper, count - 1), np.maximum(count - 1 - upper, 0))
        rank = np.clip(rank, 0, len(ordered) - 1).astype(np.int64)
        found.append(np.take_along_axis(ordered, rank[None], 0)[0])
    return np.stack(found, -1)
