"""Scores with intervals: the values are those of the backtest, the comparison with the baseline is paired."""

from dataclasses import replace

import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.forecasting import Drift, HistoricalMean, Naive, Panel, compare
from populace.forecasting.evaluation.scores import scores


def panel(count: int = 6) -> Panel:
    rng = np.random.default_rng(0)
    rows = [np.cumsum(rng.normal(size=40 + i)) + 20 for i in range(count)]
    rows[1][-2] = np.nan
    rows[2][-5] = np.nan
    return Panel.of(rows)


@pytest.mark.parametrize("step", [1, 4, 6])  # windows that overlap, touch, and lie apart
def test_values_are_those_of_the_backtest(step: int):
    found = compare([Naive(), Drift()], panel(), 4, windows=4, step=step)
    for name, score in found.scores().items():
        summary = found.backtests[name].summary()
        assert score.wql.value == pytest.approx(summary["WQL"])
        assert score.mase.value == pytest.approx(summary["MASE"])
        assert score.mae.value == pytest.approx(summary["MAE"])
        shares = found.backtests[name].calibration()
        assert {q: share.value for q, share in score.calibration.items()} == pytest.approx(shares)
        known = ~np.isnan(found.backtests[name].actual)
        values = found.backtests[name].values
        actual = found.backtests[name].actual
        inside = ((actual >= values[..., 0]) & (actual <= values[..., -1]))[known].mean()
        assert score.coverage is not None
        assert score.coverage.value == pytest.approx(inside)
        assert score.relative.value == pytest.approx(summary["WQL"] / found.table()["naive"]["WQL"])
        for each in (score.wql, score.mase, score.mae, score.coverage):
            assert each.low <= each.value <= each.high


def test_the_baseline_is_no_better_than_itself():
    found, baseline, _ = scores(compare([Naive(), Drift()], panel(), 4, windows=4).backtests)
    assert baseline == "naive"
    assert found["naive"].relative.as_list() == [1.0, 1.0, 1.0]
    assert found["naive"].improvement.value == 0.5


def test_the_probability_of_improvement_counts_forecasts():
    tested = compare([Naive(), Drift()], panel(5), 4, windows=2).backtests
    naive, drift = tested["naive"], tested["drift"]
    exact = [
        replace(forecast, values=np.repeat(np.nan_to_num(naive.actual[w])[..., None], 5, -1))
        for w, forecast in enumerate(drift.forecasts)
    ]
    wrong = exact[0].values.copy()
    wrong[1:3] += 1e6
    exact[0] = replace(exact[0], values=wrong)
    perfect_but_twice = replace(drift, forecasts=tuple(exact))
    found, *_ = scores({"naive": naive, "drift": perfect_but_twice})
    assert found["drift"].improvement.value == pytest.approx(0.8)  # 8 of 10


def test_a_model_that_wins_everywhere_is_not_certain_to():
    rising = Panel.of([np.arange(40.0) * (i + 1) for i in range(6)])
    found = compare([Naive(), Drift(), HistoricalMean()], rising, 4, windows=3).scores()
    better, worse = found["drift"].improvement, found["historical-mean"].improvement
    assert (better.value, better.high) == (1, 1)
    assert 0.7 < better.low < 0.9  # Wilson's interval of 18 of 18: .824
    assert (worse.value, worse.low) == (0, 0)
    assert found["drift"].relative.high < 1


def test_a_baseline_that_was_not_compared_is_refused():
    with pytest.raises(UsageError, match="unknown baseline 'theta'"):
        compare([Naive()], panel(), 4).scores(baseline="theta")
