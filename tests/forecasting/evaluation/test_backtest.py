"""Windows of a backtest: where they lie, and that none sees what comes after its cutoff."""

import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.forecasting import Drift, Naive, Panel, SeasonalNaive, Theta, backtest, naive_scale
from populace.forecasting.evaluation.backtest import intervals
from tests.places import SHARED_DATA


def test_windows_lie_where_they_should():
    found = backtest(Naive(), [np.arange(20.0), np.arange(100.0, 115.0)], 3, windows=2, step=2, gap=1)
    assert found.cutoffs == (6, 4)
    assert found.actual.tolist() == [[[15, 16, 17], [110, 111, 112]], [[17, 18, 19], [112, 113, 114]]]
    assert found.point[:, 0, 0].tolist() == [13, 15]
    assert found.point.shape == (2, 2, 3)
    assert found.summary()["MAE"] == 3


def test_a_sliding_window_and_no_refit():
    series = np.r_[np.zeros(10), np.arange(10.0)]
    sliding = backtest(Drift(), series, 2, windows=2, history=4)
    assert [len(forecast.panel[0]) for forecast in sliding.forecasts] == [4, 4]
    assert np.allclose(sliding.point[-1], [[8, 9]])
    kept = backtest(Naive(), series, 2, windows=2, refit=False)
    assert kept.point[:, 0, 0].tolist() == [5, 7]


@pytest.mark.parametrize("model", [Naive(), Drift(), SeasonalNaive(season=4), Theta(season=4)])
def test_nothing_depends_on_what_comes_after_the_cutoff(model: Naive):
    rng = np.random.default_rng(0)
    series = np.abs(rng.normal(10, 1, 60)) + np.tile([0.0, 3, 1, 5], 15)
    changed = series.copy()
    changed[-4:] = 1e6
    before, after = (backtest(model, s, 4, windows=3, step=4) for s in (series, changed))
    assert np.array_equal(before.values[:2], after.values[:2])
    assert np.array_equal(before.values[2], after.values[2])  # the last four are its targets


def test_calibration_counts_what_lies_below():
    found = backtest(Naive(), [[0.0, 1, 0, 1, 0, 5, np.nan]], 2, quantiles=(0.05, 0.5, 0.95))
    assert found.calibration() == {0.05: 0.0, 0.5: 0.0, 0.95: 0.0}
    assert found.metrics()["coverage of 90 %"].tolist() == [[0.0]]
    assert intervals((0.05, 0.1, 0.5, 0.9)) == [(1, 3)]


@pytest.mark.parametrize("squared", [False, True])
def test_scales_are_those_of_each_history_alone(squared: bool):
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=n) for n in (20, 9, 11, 30)]
    rows[0][[3, 5]] = np.nan
    rows.append(np.ones(20))
    found = backtest(Naive(), rows, 3, windows=2, season=7)
    scales = found.scales(squared=squared)
    for w, cutoff in enumerate((6, 3)):
        alone = [naive_scale(row[:-cutoff], 7, squared=squared) for row in rows]
        assert np.allclose(scales[w], alone, rtol=1e-12, atol=0, equal_nan=True)
    assert np.isnan(scales[0, 1])  # 3 observations: none lie a season apart
    assert scales[0, 4] == 0


def test_no_room_is_refused_with_the_series_named():
    panel = Panel.of([np.arange(50.0), np.arange(9.0)])
    with pytest.raises(UsageError, match=r"series 1 has 9 observations, and 3 windows need at least 13"):
        backtest(Naive(), panel, 4, windows=3)
    with pytest.raises(UsageError, match="the horizon must be a whole number"):
        backtest(Naive(), panel, 0)


FOLDER = SHARED_DATA / "timeseries" / "m4-hourly"


@pytest.mark.skipif(not FOLDER.is_dir(), reason="../shared/data/timeseries/m4-hourly is not there")
def test_seasonal_naive_of_m4_hourly_is_as_published():
    parts = []
    for name in ("train", "test"):
        rows = (FOLDER / f"Hourly-{name}.csv").read_text().splitlines()[1:]
        parts.append([[float(x.strip('"')) for x in row.split(",")[1:] if x.strip('"')] for row in rows])
    panel = Panel.of([np.array(a + b) for a, b in zip(*parts)], frequency="1h")
    found = backtest(SeasonalNaive(), panel, 48, quantiles=(0.5,)).summary()
    assert round(found["MASE"], 4) == 1.1932
    assert round(found["WQL"], 5) == 0.04831
    assert round(found["sMAPE"], 3) == 13.912
