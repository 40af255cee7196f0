"""Linear forecasters by closed form: ridge regression from a window of history to what follows.

Sources: W. Toner, L. Darlow (2024), An analysis of linear time series forecasting models (the linear models
of the field have one least-squares solution); A. E. Hoerl, R. W. Kennard (1970), Ridge regression.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np

from populace.core.errors import UsageError
from populace.forecasting.data.features import Features
from populace.forecasting.data.given_panel import panel_of
from populace.forecasting.data.panel import Panel
from populace.forecasting.data.windows import CENTERS, SCALES, Windows, centered, enough, last_window
from populace.forecasting.evaluation.quantile_metrics import check_quantiles
from populace.forecasting.forecast import QUANTILES, Forecast, check_horizon
from populace.forecasting.model import ForecastModel
from populace.forecasting.uncertainty.residuals import Residuals


@dataclass(frozen=True)
class Linear(ForecastModel):
    """`y_(t+1..t+h) = W (y_(t-w+1..t) - level) + V x + b + level`, with W, V and b of ridge regression.

    One model for all series, found exactly from all windows of all series: minimizes
    `sum |target - W history - V x - b|^2 + penalty (m |W|^2 + k |V|^2)`, where m is the mean square of a
    history's entries times the number of windows, and k that of the exogenous columns' x, so that a penalty
    means the same whatever the unit.

    Quantiles are those of normal errors, of the size that windows left out in turn show. Where forecasts are
    fed back, they are those of paths along which such errors are drawn again and fed back too.

    Attributes:
        window: steps of history.
        horizon: steps that are fitted. A longer one is forecast by feeding forecasts back.
        penalty: ridge penalty, relative.
        center: `last`, `mean` or `none`: what histories are centered by.
        scale: what each window is divided by, so that series of different size count alike: `none`, its
            `deviation`, or the mean `difference` of observations a season apart, as in the MASE.
        recursive: fit one step, and feed forecasts back, whatever the horizon.
        paths: how many are drawn for quantiles where forecasts are fed back.
        seed: root of the drawn paths.

    """

    window: int = 24
    horizon: int = 1
    penalty: float = 1e-3
    center: Literal["last", "mean", "none"] = "last"
    scale: Literal["none", "deviation", "difference"] = "none"
    recursive: bool = False
    paths: int = 200
    seed: int = 0
    panel: Panel | None = None
    weights: np.ndarray | None = None
    """(window + features + 1, steps): W, V and, in the last row, b; of a fitted model."""
    deviations: np.ndarray | None = None
    """(n, steps) standard deviations of the errors of each series, each window left out in turn."""
    residuals: Residuals = field(default_factory=Residuals)
    features: Features = field(default_factory=Features)
    season: int = 1
    """Steps of a season of what was fitted."""

    @property
    def name(self) -> str:
        """What solves for the weights."""
        return "ridge"

    def fit(self, data: Any) -> Self:
        """Solve for the weights.

        Raises:
            UsageError: no series is as long as a window and a horizon, or a setting out of range.

        """
        for name, value, known in (("center", self.center, CENTERS), ("scale", self.scale, SCALES)):
            if value not in known:
                raise UsageError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        if not np.isfinite(self.penalty) or self.penalty < 0 or self.paths < 1:
            raise UsageError(
                f"penalty must be at least 0 and paths at least 1, got {self.penalty} and {self.paths}"
            )
        panel, steps = panel_of(data), 1 if self.recursive else check_horizon(self.horizon)
        model = replace(self, features=Features.of(panel), season=panel.frequency.season)
        aligned = model.features.aligned(panel)
        found = enough(aligned, self.window, steps)
        weights, inverse = model._solve(aligned, found)
        deviations, residuals = model._errors(aligned, found, weights, inverse)
        return replace(model, panel=panel, weights=weights, deviations=deviations, residuals=residuals)

    def predict(self, horizon: int, quantiles: Sequence[float] = QUANTILES, *, data: Any = None) -> Forecast:
        """Forecast all series.

        Raises:
            UsageError: an unfitted model, a history shorter than the window, or with a gap in it, an
                exogenous column that is not known as far ahead.

        """
        from scipy.special import ndtri

        horizon, levels = check_horizon(horizon), check_quantiles(quantiles)
        panel = self._history(data)
        steps = self._weights.shape[1]
        if horizon > steps and self.features.names[0]:
            raise UsageError(
                f"past columns are not known behind the {steps} steps that were fitted, got a horizon of "
                f"{horizon}; give horizon={horizon}, or name them in future if they are known ahead"
            )
        history = last_window(self.features.aligned(panel), self.window)
        inputs = self._ahead(panel, horizon)
        point = self._continued(history, inputs, horizon, None)
        known = self._known(panel)
        if horizon <= steps:
            values = point[..., None] + self._deviation(known)[:, :horizon, None] * ndtri(levels)
        else:
            values = self._simulated(history, inputs, horizon, known, levels)
        return Forecast(panel, point, tuple(levels.tolist()), values, self.name)

    def _ahead(self, panel: Panel, horizon: int) -> list[np.ndarray]:
        """Return the exogenous columns of each round of forecasts, (n, features)."""
        aligned, steps = self.features.aligned(panel), self._weights.shape[1]
        series, ends, window = np.arange(len(panel)), panel.lengths, self.window
        return [
            self.features.rows(aligned, series, ends + i, window, min(steps, horizon - i), steps)
            for i in range(0, horizon, steps)
        ]

    def _continued(
        self, history: np.ndarray, inputs: list[np.ndarray], horizon: int, errors: np.ndarray | None
    ) -> np.ndarray:
        """Return forecasts (n, horizon), fed back where the horizon is longer than what was fitted.

        Args:
            history: (n, window).
            inputs: exogenous columns of each round.
            horizon: steps.
            errors: (rounds, n, steps) what is added in each round, in units of each window; none by default.

        """
        parts: list[np.ndarray] = []
        for i, extra in enumerate(inputs):
            scaled, level, scale = self._centered(history)
            found = np.concatenate([scaled, extra], 1) @ self._weights[:-1] + self._weights[-1]
            parts.append((found if errors is None else found + errors[i]) * scale + level)
            history = np.concatenate([history, parts[-1]], 1)[:, -self.window :]
        return np.concatenate(parts, 1)[:, :horizon]

    def _simulated(
        self,
        history: np.ndarray,
        inputs: list[np.ndarray],
        horizon: int,
        known: np.ndarray,
        levels: np.ndarray,
    ) -> np.ndarray:
        """Return quantiles (n, horizon, Q) of paths along which errors are drawn and fed back."""
        rng, found = np.random.default_rng(self.seed), []
        size = max(1, 2_000_000 // (self.paths * max(self.window, horizon)))
        for i in range(0, len(history), size):
            part = slice(i, i + size)
            errors = self.residuals.drawn(known[part], (len(inputs), self.paths), rng)
            repeated = [np.repeat(extra[part], self.paths, 0) for extra in inputs]
            paths = self._continued(np.repeat(history[part], self.paths, 0), repeated, horizon, errors)
            ordered = paths.reshape(-1, self.paths, horizon)
            found.append(np.moveaxis(np.quantile(ordered, levels, axis=1), 0, -1))
        return np.concatenate(found)

    def _centered(self, history: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return centered(history, self.center, self.scale, self.season)

    def _pairs(self, panel: Panel, found: Windows, part: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return inputs with a one behind them, targets, and scales."""
        chunk, series = found.take(part), found.series[part]
        history, target = chunk[:, : self.window], chunk[:, self.window :]
        inputs, level, scale = self._centered(history)
        ends = found.begins[part] - panel.offsets[series] + self.window
        extra = self.features.rows(panel, series, ends, self.window, target.shape[1])
        ones = np.ones((len(inputs), 1))
        return np.concatenate([inputs, extra, ones], 1), (target - level) / scale, scale

    def _solve(self, panel: Panel, found: Windows) -> tuple[np.ndarray, np.ndarray]:
        """Return the weights, and the inverse of the system they solve."""
        from scipy.linalg import inv, solve

        steps = found.length - self.window
        size = self.window + self.features.size(self.window, steps) + 1
        gram, moment = np.zeros((size, size)), np.zeros((size, steps))
        for part in found.parts():
            inputs, targets, _ = self._pairs(panel, found, part)
            gram += inputs.T @ inputs
            moment += inputs.T @ targets
        ridge = np.zeros(size)
        for block in (slice(self.window), slice(self.window, size - 1)):
            # What is constant leaves nothing to solve for: the least penalty keeps the system solvable.
            count = max(len(ridge[block]), 1)
            mean = gram.diagonal()[block].sum() / count or 1.0
            ridge[block] = max(self.penalty, 1e-12) * mean
        system = gram + np.diag(ridge)
        return solve(system, moment, assume_a="pos"), inv(system)

    def _errors(
        self, panel: Panel, found: Windows, weights: np.ndarray, inverse: np.ndarray
    ) -> tuple[np.ndarray, Residuals]:
        """Return the deviation of errors per series, (n, steps), and the errors themselves.

        A series without windows has the deviation of all.
        Each error is that of the model without its window, `e / (1 - x' (X'X + ridge)^-1 x)` (D. M. Allen
        1974): errors within the sample look small where there are hardly more windows than weights.
        """
        squared = np.zeros((len(panel), weights.shape[1]))
        kept = Residuals.latest(found.series, len(panel), weights.shape[1])
        errors = []
        for part in found.parts():
            inputs, targets, scale = self._pairs(panel, found, part)
            leverage = np.einsum("ni,ij,nj->n", inputs, inverse, inputs, optimize=True)[:, None]
            error = (targets - inputs @ weights) / np.maximum(1 - leverage, 1e-6)
            np.add.at(squared, found.series[part], (error * scale) ** 2)
            errors.append(error[kept[part]].astype(np.float32))
        count = np.bincount(found.series, minlength=len(panel))[:, None]
        whole = np.sqrt(squared.sum(0) / count.sum())
        deviations = np.where(count > 0, np.sqrt(squared / np.maximum(count, 1)), whole)
        return deviations, Residuals.of(np.concatenate(errors), found.series[kept], len(panel))

    def _known(self, panel: Panel) -> np.ndarray:
        """Return the places of a panel's series among those that were fitted; -1 for others."""
        assert self.panel is not None
        return self.panel.places(panel.ids)

    def _deviation(self, known: np.ndarray) -> np.ndarray:
        assert self.deviations is not None
        everywhere = np.sqrt(np.mean(self.deviations**2, 0))
        return np.where(known[:, None] < 0, everywhere, self.deviations[known])

    @property
    def _weights(self) -> np.ndarray:
        if self.weights is None:
            raise UsageError(f"{self.name} has not been fitted; call fit first")
        return self.weights
