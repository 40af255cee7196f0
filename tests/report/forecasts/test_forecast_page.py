"""The page of a forecast: its first sentence, what it lists, and how it looks to a browser."""

import re
from pathlib import Path

import numpy as np
import pytest

from populace.forecasting import Drift, Naive, SeasonalNaive, compare, findings, read
from populace.report import write_forecasts
from populace.report.forecasts import text


@pytest.fixture(scope="module")
def said() -> dict:
    rng = np.random.default_rng(0)
    names = ["<script>alert(1)</script>", *(f"shop {i}" for i in range(1, 14))]
    table = {"unique_id": [], "ds": [], "y": []}
    days = np.arange("2024-01-01", "2024-03-25", dtype="datetime64[D]")
    for i, name in enumerate(names):
        table["unique_id"] += [name] * len(days)
        table["ds"] += days.astype(object).tolist()
        table["y"] += (
            20 + 10 * np.sin(np.arange(84) * 2 * np.pi / 7) + (1 + i) * rng.normal(size=84)
        ).tolist()
    panel = read(table)
    found = compare([Naive(), SeasonalNaive(), Drift()], panel, 7, windows=4)
    future = found.models[found.chosen].fit(panel).predict(7)
    return findings(found, future, baseline="naive", source="sales.csv")


def sentence(said: dict, **changes) -> str:
    return text.answer(said | changes)


def test_the_first_sentence_says_what_was_measured_afresh(said: dict):
    found = re.fullmatch(
        r"seasonal-naive did best of 3 models in the 3 windows before the last; in the last, which took no "
        r"part in the choice, its quantile loss is (\d+) % lower than that of naive \((\d+) to (\d+) %\), "
        r"and \d+ % \(\d+ to \d+ %\) of observations lie in its 90 % interval\.",
        sentence(said),
    )
    assert found
    ratio, low, high = said["fresh"]["relative"]
    assert [int(part) for part in found.groups()] == [round(100 * (1 - r)) for r in (ratio, high, low)]


def test_the_first_sentence_claims_no_more_than_the_interval(said: dict):
    unsure = said["fresh"] | {"relative": [0.9, 0.7, 1.2]}
    assert "0.90 times that of naive (0.70 to 1.20, so either may be better)" in sentence(said, fresh=unsure)
    worse = said["fresh"] | {"relative": [1.5, 1.2, 1.8]}
    assert "50 % higher than that of naive (20 to 80 %)" in sentence(said, fresh=worse)
    alone = said["fresh"] | {"relative": [0.9, None, None]}
    assert "10 % lower than that of naive, and" in sentence(said, fresh=alone)
    narrow = said["fresh"] | {"relative": [0.8, 0.797, 0.803]}
    assert "20.0 % lower than that of naive (19.7 to 20.3 %)" in sentence(said, fresh=narrow)
    assert "by which it was chosen; there its" in sentence(said, fresh=None, windows=1)
    assert sentence(said, asked=True).startswith(
        "seasonal-naive was asked for; in the last backtest window its"
    )
    assert "the baseline itself, did best" in sentence(said, baseline="seasonal-naive")


def test_what_there_is_too_little_of_is_said(said: dict):
    over = text.caveats(said)
    assert len(over) == 1
    assert over[0].startswith("Intervals of the last window are over series, ")
    assert re.search(r"over all 4 windows the loss is \d+ % lower than that of naive \(\d+ to", over[0])
    alone = text.caveats(said | {"fresh over": ""})
    assert alone[0].startswith("One window has no interval; over all 4 windows")
    few = text.caveats(said | {"over": "", "series": 1, "windows": 2, "missing": 3, "unscaled": 1})
    assert few[0].startswith("Too little for intervals: 2 windows of 1 series")
    assert few[1].startswith("With fewer than 3 windows")
    assert few[2].startswith("3 observations")
    assert few[3].startswith("1 of 1 series")


def test_models_are_ranked_and_the_chosen_one_marked(said: dict):
    table = text.models_table(said)
    assert table.rows[0].cells[0].text == "seasonal-naive"
    assert [row.chosen for row in table.rows] == [True, False, False]
    naive = next(row for row in table.rows if row.cells[0].text == "naive")
    assert naive.cells[2].text == "1"
    assert naive.cells[3].text == "–"


def test_the_page_has_everything_and_escapes_names(said: dict, tmp_path: Path):
    page = write_forecasts(said, tmp_path / "new" / "report.html", files=("forecast.csv",)).read_text()
    assert "<script>alert(1)" not in page
    assert '<a href="forecast.csv">' in page
    assert "Forecast of sales.csv" in page
    assert page.count('data-chart="fan-') == 12
    for chart in ("models", "calibration", "coverage", "residuals", "histogram"):
        assert f'data-chart="{chart}"' in page
    assert "12 of 14 series: the 4 first, the 4 worst, the 4 best by MASE" in page


def test_a_single_series_of_one_window_and_step_has_a_page(tmp_path: Path):
    found = compare([Naive()], np.arange(9.0), 1, windows=1, quantiles=(0.5,))
    page = write_forecasts(findings(found, Naive().fit(np.arange(9.0)).predict(1)), tmp_path / "report.html")
    words = page.read_text()
    assert "Too little for intervals: 1 window of 1 series" in words
    assert 'data-chart="fan-0"' in words
    assert "Worst series" not in words


def test_a_browser_draws_it_on_a_phone_too(browser, said: dict, tmp_path: Path):
    page = write_forecasts(said, tmp_path / "report.html")
    for width in (1280, 360):
        browser.open(page, width=width)
        assert browser.run("return document.documentElement.scrollWidth") <= width
        drawn = browser.run("return document.querySelectorAll('[data-chart] .main-svg').length")
        assert drawn >= 17
        assert browser.errors() == []
        assert [url for url in browser.requested() if not url.startswith(("file:", "data:", "blob:"))] == []
