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
class Conformal(ForecastModel):
    """Quantiles of another model's errors, per series and step, from a backtest within the history.

    The quantile of level q is the point forecast plus the order statistic of rank `ceil((n + 1) q)` of n past
    errors y - f (the largest where there are too few). If past and future errors are exchangeable, at least a
    share q of future observations lies below it; errors that grow or drift over time break that promise, and
    the backtest's calibration shows by how much.

    Attributes:
        model: what makes the point forecasts.
        windows: backtest windows, one error per step each.
        step: steps between the windows.
        pooled: share the errors of all series, each in units of its mean absolute error, where windows are
            few.
        refit: fit at each window; otherwise once, before the first.

    """

    model: ForecastModel
    windows: int = 20
    step: int = 1
    pooled: bool = False
    refit: bool = False
    panel: Panel | None = None
    errors: np.ndarray | None = None
    """(W, n, horizon) errors of the backtest, oldest first; of a fitted model."""
    horizon: int | None = None
    """Steps to calibrate for; needed before `fit`."""

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
        panel = panel_of(data)
        found = backtest(
            self.model,
            panel,
            self.horizon,
            windows=self.windows,
            step=self.step,
            refit=self.refit,
            quantiles=(0.5,),
        )
        return replace(self, panel=panel, model=self.model.fit(panel), errors=found.actual - found.point)

    def predict(self, horizon: int, quantiles: Sequence[float] = QUANTILES, *, data: Any = None) -> Forecast:
        """Forecast.

        Raises:
            UsageError: an unfitted model, or a horizon beyond the one it was calibrated for.

        """
        horizon, levels = check_horizon(horizon), check_quantiles(quantiles)
        if self.errors is None or self.horizon is None:
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
            offsets = conformal_quantiles(errors, levels)
        return Forecast(panel, point, tuple(levels.tolist()), point[..., None] + offsets, self.name)


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
        levels: (Q,).

    Returns:
        NaN where a series has no error at all.

    """
    ordered = np.sort(errors, 0)  # NaN last
    count = (~np.isnan(errors)).sum(0)
    found = []
    for level in levels:
        upper = np.ceil((count + 1) * max(level, 1 - level)) - 1
        rank = np.where(level >= 0.5, np.minimum(upper, count - 1), np.maximum(count - 1 - upper, 0))
        rank = np.clip(rank, 0, len(ordered) - 1).astype(np.int64)
        found.append(np.take_along_axis(ordered, rank[None], 0)[0])
    return np.stack(found, -1)
