"""Linear forecasters by closed form: ridge regression from a window of history to what follows.

Sources: W. Toner, L. Darlow (2024), An analysis of linear time series forecasting models (the linear models
of the field have one least-squares solution); A. E. Hoerl, R. W. Kennard (1970), Ridge regression.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np

from populace.core.errors import UsageError
from populace.forecasting.data.panel import Panel
from populace.forecasting.data.windows import CENTERS, Windows, centered, enough, last_window
from populace.forecasting.evaluation.quantile_metrics import check_quantiles
from populace.forecasting.forecast import QUANTILES, Forecast, check_horizon
from populace.forecasting.model import ForecastModel, panel_of


@dataclass(frozen=True)
class Linear(ForecastModel):
    """`y_(t+1..t+h) = W (y_(t-w+1..t) - level) + b + level`, with the W and b of ridge regression.

    One W for all series, found exactly from all windows of all series: minimizes
    `sum |target - W history - b|^2 + penalty m |W|^2`, where m is the mean square of a history's entries
    times the number of windows, so that a penalty means the same whatever the unit.

    Attributes:
        window: steps of history.
        horizon: steps that are fitted. A longer one is forecast by feeding forecasts back.
        penalty: ridge penalty, relative.
        center: `last`, `mean` or `none`: what histories are centered by.
        scaled: divide each window by its own deviation, so that series of different size count alike.
        recursive: fit one step, and feed forecasts back, whatever the horizon.

    """

    window: int = 24
    horizon: int = 1
    penalty: float = 1e-3
    center: Literal["last", "mean", "none"] = "last"
    scaled: bool = False
    recursive: bool = False
    panel: Panel | None = None
    weights: np.ndarray | None = None
    """(window + 1, steps): W and, in the last row, b; of a fitted model."""
    residuals: np.ndarray | None = None
    """(n, steps) standard deviations of the errors of each series, each window left out in turn."""

    @property
    def name(self) -> str:
        """What solves for the weights."""
        return "ridge"

    def fit(self, data: Any) -> Self:
        """Solve for the weights.

        Raises:
            UsageError: no series is as long as a window and a horizon, or a setting out of range.

        """
        if self.center not in CENTERS:
            raise UsageError(f"center must be one of {', '.join(CENTERS)}, got {self.center!r}")
        if not np.isfinite(self.penalty) or self.penalty < 0:
            raise UsageError(f"penalty must be at least 0, got {self.penalty}")
        panel, steps = panel_of(data), 1 if self.recursive else check_horizon(self.horizon)
        found = enough(panel, self.window, steps)
        weights, inverse = self._solve(found)
        deviations = self._deviations(panel, found, weights, inverse)
        return replace(self, panel=panel, weights=weights, residuals=deviations)

    def predict(self, horizon: int, quantiles: Sequence[float] = QUANTILES, *, data: Any = None) -> Forecast:
        """Forecast; quantiles are those of normal errors, of the size that windows left out in turn show.

        Raises:
            UsageError: an unfitted model, or a history shorter than the window, or with a gap in it.

        """
        from scipy.special import ndtri

        horizon, levels = check_horizon(horizon), check_quantiles(quantiles)
        panel = self._history(data)
        history = last_window(panel, self.window)
        steps = self._weights.shape[1]
        point = self._point(history, horizon)
        deviation = self._deviation(panel)[:, np.minimum(np.arange(horizon), steps - 1)]
        if horizon > steps:  # errors of one round add up to those of the next
            rounds = np.arange(horizon) // steps
            deviation = deviation * np.sqrt(1 + rounds)
        values = point[..., None] + deviation[..., None] * ndtri(levels)
        return Forecast(panel, point, tuple(levels.tolist()), values, self.name)

    def _point(self, history: np.ndarray, horizon: int) -> np.ndarray:
        """Return forecasts (n, horizon), fed back where the horizon is longer than what was fitted."""
        parts: list[np.ndarray] = []
        while sum(part.shape[1] for part in parts) < horizon:
            inputs, level, scale = centered(history, self.center, scaled=self.scaled)
            parts.append((inputs @ self._weights[:-1] + self._weights[-1]) * scale + level)
            history = np.concatenate([history, parts[-1]], 1)[:, -self.window :]
        return np.concatenate(parts, 1)[:, :horizon]

    def _pairs(self, chunk: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return inputs with a one behind them, targets, and scales."""
        history, target = chunk[:, : self.window], chunk[:, self.window :]
        inputs, level, scale = centered(history, self.center, scaled=self.scaled)
        return np.concatenate([inputs, np.ones((len(inputs), 1))], 1), (target - level) / scale, scale

    def _solve(self, found: Windows) -> tuple[np.ndarray, np.ndarray]:
        """Return the weights, and the inverse of the system they solve."""
        from scipy.linalg import inv, solve

        size, steps = self.window + 1, found.length - self.window
        gram, moment = np.zeros((size, size)), np.zeros((size, steps))
        for chunk in found.chunks():
            inputs, targets, _ = self._pairs(chunk)
            gram += inputs.T @ inputs
            moment += inputs.T @ targets
        # Constant histories leave nothing to solve for: the least penalty keeps the system solvable.
        mean = np.trace(gram[:-1, :-1]) / self.window or 1.0
        ridge = np.full(size, max(self.penalty, 1e-12) * mean)
        ridge[-1] = 0.0
        system = gram + np.diag(ridge)
        return solve(system, moment, assume_a="pos"), inv(system)

    def _deviations(
        self, panel: Panel, found: Windows, weights: np.ndarray, inverse: np.ndarray
    ) -> np.ndarray:
        """Return the deviation of errors per series, (n, steps); of all where a series has no windows.

        Each error is that of the model without its window, `e / (1 - x' (X'X + ridge)^-1 x)` (D. M. Allen
        1974): errors within the sample look small where there are hardly more windows than weights.
        """
        squared = np.zeros((len(panel), weights.shape[1]))
        for i, chunk in enumerate(found.chunks()):
            inputs, targets, scale = self._pairs(chunk)
            place = found.series[i * 4096 : i * 4096 + len(chunk)]
            leverage = np.einsum("ni,ij,nj->n", inputs, inverse, inputs, optimize=True)[:, None]
            error = (targets - inputs @ weights) / np.maximum(1 - leverage, 1e-6)
            np.add.at(squared, place, (error * scale) ** 2)
        count = np.bincount(found.series, minlength=len(panel))[:, None]
        whole = np.sqrt(squared.sum(0) / count.sum())
        return np.where(count > 0, np.sqrt(squared / np.maximum(count, 1)), whole)

    def _deviation(self, panel: Panel) -> np.ndarray:
        assert self.residuals is not None
        assert self.panel is not None
        if panel.ids == self.panel.ids:
            return self.residuals
        places = {identity: i for i, identity in enumerate(self.panel.ids)}
        everywhere = np.sqrt(np.mean(self.residuals**2, 0))
        return np.stack([self.residuals[places[i]] if i in places else everywhere for i in panel.ids])

    @property
    def _weights(self) -> np.ndarray:
        if self.weights is None:
            raise UsageError(f"{self.name} has not been fitted; call fit first")
        return self.weights
