"""Findings: all that is said of a comparison and a forecast, as plain numbers for a report or for JSON."""

from typing import Any

import numpy as np

from populace.core.errors import UsageError
from populace.forecasting.evaluation.backtest import intervals
from populace.forecasting.evaluation.compare import Comparison
from populace.forecasting.evaluation.scores import scores
from populace.forecasting.evidence import errors
from populace.forecasting.evidence.fans import drawn_series, fan
from populace.forecasting.forecast import Forecast


def findings(
    comparison: Comparison,
    future: Forecast,
    *,
    baseline: str | None = None,
    asked: bool = False,
    source: str = "",
) -> dict[str, Any]:
    """Return what a comparison of models and the forecast by one of them say, as dictionaries and lists.

    Its size does not grow with the series: of many, 12 are drawn and 20 listed.
    [`write_forecasts`][populace.report.write_forecasts] makes a page of it.

    Args:
        comparison: of the models.
        future: what one of them forecasts behind the series.
        baseline: whom models are compared with; by default `seasonal-naive`, or `naive`.
        asked: whether a person named the model; otherwise the backtest chose it.
        source: what the series are called, such as the name of their file.

    Raises:
        UsageError: a forecast by a model, or of series, that the comparison does not have.

    """
    if future.model not in comparison.backtests:
        known = ", ".join(comparison.backtests)
        raise UsageError(f"the forecast is by {future.model}, which is not one of those compared ({known})")
    chosen = comparison.backtests[future.model]
    if future.panel.ids != chosen.panel.ids:
        raise UsageError("the forecast is of other series than the comparison")
    every, name, resampling = scores(comparison.backtests, baseline)
    against = comparison.backtests[name]
    fresh, fresh_over = None, ""
    if comparison.windows > 1:
        last = {n: comparison.backtests[n].window(slice(-1, None)) for n in {future.model, name}}
        found, _, how = scores(last, name)
        fresh, fresh_over = found[future.model].as_dict(), how.what
    panel, ranks = chosen.panel, errors.series_errors(chosen)
    drawn = drawn_series(ranks)
    levels, pairs = chosen.quantiles, intervals(chosen.quantiles)
    return {
        "source": source,
        "series": len(panel),
        "observations": int(panel.lengths.sum()),
        "missing": int(np.isnan(panel.values).sum()),
        "frequency": str(panel.frequency),
        "season": chosen.season,
        "horizon": future.horizon,
        "windows": comparison.windows,
        "tested": int((~np.isnan(chosen.actual)).sum()),
        "unscaled": int((~np.isfinite(ranks)).sum()),
        "chosen": future.model,
        "asked": asked,
        "baseline": name,
        "over": resampling.what,
        "interval": round(levels[pairs[0][1]] - levels[pairs[0][0]], 9) if pairs else None,
        "models": {model: found.as_dict() for model, found in every.items()},
        "fresh": fresh,
        "fresh over": fresh_over,
        "coverage by step": {
            model: errors.coverage_by_step(comparison.backtests[model]) for model in (future.model, name)
        },
        "residuals": errors.residuals(chosen),
        "worst": errors.worst(chosen, against),
        "fans": [
            fan(chosen, future, i) | {"why": why, "mase": float(ranks[i]) if np.isfinite(ranks[i]) else None}
            for i, why in drawn
        ],
    }
