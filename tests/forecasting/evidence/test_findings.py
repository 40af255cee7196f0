"""Findings: a bounded account of a backtest and a forecast, with stamps as the local clock shows them."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.forecasting import Drift, Naive, Panel, SeasonalNaive, compare, findings, read
from populace.forecasting.evidence import errors
from populace.forecasting.evidence.fans import POINTS, drawn_series, fan


def account(panel: Panel, horizon: int = 6, windows: int = 3, **more):
    found = compare([Naive(), SeasonalNaive(season=6), Drift()], panel, horizon, windows=windows)
    future = found.models[found.chosen].fit(panel).predict(horizon)
    return found, findings(found, future, **more)


def rows(count: int, length: int = 60) -> Panel:
    rng = np.random.default_rng(0)
    season = np.tile([0.0, 3, 1, 5, 2, 4], length // 6)
    return Panel.of([season + (0.01 + i / count) * rng.normal(size=length) for i in range(count)])


def test_of_many_series_a_few_are_drawn_and_listed():
    found, said = account(rows(300))
    assert len(said["fans"]) == 12
    assert [entry["why"] for entry in said["fans"]].count("worst") == 4
    assert len(said["worst"]) == errors.WORST
    assert len(json.dumps(said, allow_nan=False)) < 60_000
    ranks = errors.series_errors(found.backtests[said["chosen"]])
    assert said["worst"][0]["id"] == str(int(np.argmax(ranks)))
    assert said["worst"][0]["mase"] == pytest.approx(ranks.max())
    best = next(entry for entry in said["fans"] if entry["why"] == "best")
    assert best["id"] == str(int(np.argmin(ranks)))
    assert said["fans"][0]["id"] == "0" or ranks[0] in np.sort(ranks)[:4]


def test_series_that_nothing_scales_are_counted_and_not_ranked():
    flat = np.array([3.0, np.nan, 1, 2])
    assert drawn_series(flat) == [(0, "worst"), (1, ""), (2, "best"), (3, "")]
    assert drawn_series(np.array([np.nan])) == [(0, "")]
    many = drawn_series(np.r_[np.nan, np.arange(20.0)])
    assert many[0] == (0, "first")
    assert [i for i, why in many if why == "worst"] == [20, 19, 18, 17]
    panel = Panel.of([np.ones(60), *rows(4)])
    _, said = account(panel)
    assert said["unscaled"] == 1
    assert said["residuals"]["unscaled"] == 1
    assert all(entry["id"] != "0" for entry in said["worst"])


def test_fans_lie_where_the_local_clock_says():
    start = datetime(2024, 3, 29, tzinfo=UTC)
    stamps = [start + timedelta(hours=i) for i in range(96)]
    panel = read({"ds": stamps, "y": np.arange(96.0) % 24}, time_zone="Europe/Paris")
    _, said = account(panel)
    drawn = said["fans"][0]
    assert drawn["history"]["x"][-1] == "2024-04-02 01:00:00"  # an hour later than in winter
    assert drawn["future"]["x"][0] == "2024-04-02 02:00:00"
    assert drawn["backtest"]["x"] == drawn["history"]["x"][-6:]
    assert drawn["history"]["y"][-1] == 23
    bands = drawn["future"]["bands"]
    assert [band["level"] for band in bands] == [0.9, 0.8]
    assert np.all(np.array(bands[0]["low"]) <= np.array(bands[1]["low"]))


def test_long_histories_and_horizons_are_thinned():
    panel = Panel.of(np.random.default_rng(0).normal(size=3000))
    found = compare([Naive()], panel, 700, windows=2)
    drawn = fan(found.backtests["naive"], Naive().fit(panel).predict(700), 0)
    assert len(drawn["history"]["x"]) <= 700
    assert len(drawn["future"]["x"]) == len(drawn["future"]["bands"][0]["low"]) == POINTS
    assert drawn["future"]["x"][-1] == 3699


def test_coverage_and_errors_by_step_are_those_of_the_forecasts():
    found, said = account(rows(8))
    tested = found.backtests[said["chosen"]]
    inside = (tested.actual >= tested.values[..., 0]) & (tested.actual <= tested.values[..., -1])
    assert said["coverage by step"][said["chosen"]]["share"] == pytest.approx(inside.mean((0, 1)), abs=1e-5)
    error = (tested.actual - tested.point) / tested.scales()[..., None]
    middle = said["residuals"]["quantiles"]["0.5"]
    assert middle == pytest.approx(np.median(error, (0, 1)), rel=1e-4)
    bins = said["residuals"]["histogram"]
    assert sum(bins["count"]) + bins["outside"] == error.size


def test_what_took_no_part_in_the_choice_is_told_apart():
    found, said = account(rows(8))
    last = found.backtests[said["chosen"]].window(slice(-1, None)).wql()
    assert said["fresh"]["wql"][0] == pytest.approx(last)
    assert said["fresh over"] == "series"
    _, alone = account(rows(8), windows=1)
    assert alone["fresh"] is None


def test_a_forecast_of_something_else_is_refused():
    panel = rows(3)
    found = compare([Naive()], panel, 6)
    with pytest.raises(UsageError, match="the forecast is by drift, which is not one of those compared"):
        findings(found, Drift().fit(panel).predict(6))
    with pytest.raises(UsageError, match="the forecast is of other series"):
        findings(found, Naive().fit(rows(2)).predict(6))


def test_plain_arrays_of_a_frequency_are_counted():
    panel = Panel.of([np.arange(50.0)], frequency="1mo")
    forecast = Naive().fit(panel).predict(2)
    assert forecast.columns()["ds"] == [50, 51]
    assert panel.stamps(0, 48).tolist() == [48, 49]
