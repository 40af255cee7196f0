"""Several models on the same windows: one is chosen by the earlier ones, and measured on the last."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from populace.core.errors import UsageError
from populace.forecasting.data.given_panel import panel_of
from populace.forecasting.data.panel import Panel
from populace.forecasting.evaluation.backtest import Backtest, backtest
from populace.forecasting.evaluation.scores import Scores, scores
from populace.forecasting.forecast import QUANTILES
from populace.forecasting.model import ForecastModel


@dataclass(frozen=True)
class Comparison:
    """Backtests of several models on the same windows.

    Attributes:
        models: by name.
        backtests: by name, in the same order.

    """

    models: dict[str, ForecastModel]
    backtests: dict[str, Backtest]

    @property
    def windows(self) -> int:
        """How many windows there are."""
        return len(next(iter(self.backtests.values())).cutoffs)

    @property
    def chosen(self) -> str:
        """The name of the model with the lowest weighted quantile loss.

        Over all windows but the last, which measures it afresh; over the one window where there is only one.
        """
        early = slice(0, max(1, self.windows - 1))
        losses = {name: found.window(early).wql() for name, found in self.backtests.items()}
        return min(losses, key=lambda name: np.nan_to_num(losses[name], nan=np.inf))

    def table(self, window: slice = slice(None)) -> dict[str, dict[str, float]]:
        """Return the mean metrics of each model over some windows, by name."""
        return {name: found.window(window).summary() for name, found in self.backtests.items()}

    def scores(self, window: slice = slice(None), baseline: str | None = None) -> dict[str, Scores]:
        """Return the scores of each model over some windows, with intervals, by name.

        Args:
            window: which windows.
            baseline: whom models are compared with; by default `seasonal-naive` or `naive`.

        Raises:
            UsageError: a baseline that was not backtested.

        """
        return scores({name: found.window(window) for name, found in self.backtests.items()}, baseline)[0]


def compare(
    models: Sequence[ForecastModel],
    data: Any,
    horizon: int,
    *,
    windows: int = 3,
    quantiles: Sequence[float] = QUANTILES,
    on_model: Callable[[str], None] = lambda name: None,
    **how: Any,
) -> Comparison:
    """Backtest models on the same windows.

    Args:
        models: their names must differ.
        data: a panel, or a table of one.
        horizon: steps of a forecast.
        windows: how many cutoffs; with two or more the last one takes no part in choosing a model.
        quantiles: levels.
        on_model: is told the name of each model before its turn.
        how: further arguments of [`backtest`][populace.forecasting.backtest].

    Raises:
        UsageError: no models, two of one name, or what a backtest refuses.

    """
    names = [model.name for model in models]
    twice = [name for name in names if names.count(name) > 1]
    if not names or twice:
        raise UsageError(
            f"two models are named {twice[0]}; compare them one by one" if twice else "no models to compare"
        )
    panel: Panel = panel_of(data)
    found = {}
    for model in models:
        on_model(model.name)
        found[model.name] = backtest(model, panel, horizon, windows=windows, quantiles=quantiles, **how)
    return Comparison(dict(zip(names, models)), found)
