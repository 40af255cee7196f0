"""Intervals over series and blocks of time: where there are any, and how often they cover."""

import numpy as np
import pytest

from populace.forecasting.evaluation import block_bootstrap
from populace.forecasting.evaluation.block_bootstrap import BlockBootstrap


def test_the_value_is_the_ratio_of_the_sums():
    rng = np.random.default_rng(0)
    above, below = rng.random((7, 24)), rng.random((7, 24))
    found = BlockBootstrap(7, 24, 12).interval(above, below)
    assert found.value == above.sum() / below.sum()
    assert found.low < found.value < found.high
    again = BlockBootstrap(7, 24, 12).interval(3 * above, 3 * below)
    assert again.low == pytest.approx(found.low)


@pytest.mark.parametrize(
    ("series", "steps", "horizon", "what"),
    [
        (1, 48, 12, ""),  # four forecasts of one series
        (1, 60, 12, "blocks of 12 steps"),
        (4, 36, 12, ""),
        (5, 36, 12, "series and blocks of 7 steps"),
        (5, 12, 12, "series"),
        (300, 3, 1, "series"),
        (1, 5, 1, "blocks of 1 step"),
    ],
)
def test_what_is_drawn_is_what_there_is_enough_of(series: int, steps: int, horizon: int, what: str):
    made = BlockBootstrap(series, steps, horizon)
    assert made.what == what
    found = made.interval(np.random.default_rng(0).random((series, steps)), np.ones((series, steps)))
    assert np.isfinite(found.value)
    assert np.isfinite([found.low, found.high]).all() == bool(what)


def test_nothing_to_divide_by_is_nan():
    assert np.isnan(BlockBootstrap(5, 24, 12).interval(np.ones((5, 24)), np.zeros((5, 24))).value)


def test_errors_that_go_together_in_time_make_intervals_wide_however_many_series_share_them():
    rng = np.random.default_rng(0)
    common = np.repeat(np.abs(np.cumsum(rng.normal(size=(10, 12)), -1)).reshape(1, -1), 200, 0)
    own = np.abs(np.cumsum(rng.normal(size=(200, 10, 12)), -1)).reshape(200, -1)
    made = BlockBootstrap(200, 120, 12)
    wide, narrow = (made.interval(each, np.ones_like(each)) for each in (common, own))
    assert wide.high - wide.low > 4 * (narrow.high - narrow.low)


def test_intervals_of_one_series_cover_although_errors_of_one_forecast_go_together():
    rng, hits = np.random.default_rng(0), 0
    error = np.abs(np.cumsum(rng.normal(size=(4000, 12)), -1))
    truth = error.mean()
    for trial in range(100):
        each = np.abs(np.cumsum(rng.normal(size=(10, 12)), -1)).reshape(1, -1)
        found = BlockBootstrap(1, 120, 12, resamples=300, seed=trial).interval(each, np.ones_like(each))
        hits += found.low <= truth <= found.high
    assert 78 <= hits <= 99  # steps drawn one by one cover half as often


def test_many_series_are_drawn_in_groups_of_the_same_spread(monkeypatch: pytest.MonkeyPatch):
    above = np.random.default_rng(0).exponential(size=(900, 24))
    grouped = BlockBootstrap(900, 24, 12).interval(above, np.ones_like(above))
    monkeypatch.setattr(block_bootstrap, "GROUPS", 1000)
    alone = BlockBootstrap(900, 24, 12).interval(above, np.ones_like(above))
    assert grouped.value == alone.value
    assert (grouped.high - grouped.low) / (alone.high - alone.low) == pytest.approx(1, abs=0.2)
