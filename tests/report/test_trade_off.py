"""Trade-offs of runs with known costs: the front, the smallest that is as good, and what is missing."""

import numpy as np
import pytest
from fake_run import fake_run

from populace import report
from populace.report.runs import Reading
from populace.report.sections.trade_off import section
from populace.report.text import trade_off as words
from populace.report.trade_off import TradeOff, written_bytes, written_seconds

WIDTHS = {"width": [8, 16, 32, 64]}


def run_of(path, scores, parameters, lower=False, training=None):
    """A run of four settings whose five members score around these numbers, and cost what is said."""
    run = fake_run(path, axes=WIDTHS, seeds=5, diverged=(), external=False, media=False, lower=lower)
    content = run.content
    content["costs"] = []
    for entry, value, size in zip(content["settings"], scores, parameters):
        entry["test"]["iqm"] = entry["validation"]["iqm"] = [value, value - 2, value + 2]
        entry["test"]["scores"] = [value + d for d in (-2.0, -1.0, 0.0, 1.0, 2.0)]
        own = None if training is None else [s + training for s in entry["test"]["scores"]]
        prediction = {"seconds": size * 1e-6, "bytes": 4 * size}
        content["costs"].append(
            {"setting": entry["setting"], "parameters": size, "train_s": None, "prediction": prediction}
            | {"training_scores": own}
        )
    best = (min if lower else max)(range(4), key=lambda i: scores[i])
    content["best"] |= {"setting": best}
    return run


@pytest.mark.parametrize("lower", [False, True])
def test_the_front_and_the_smallest_setting_within_the_winners_interval(tmp_path, lower):
    scores = [80.0, 98.5, 97.0, 100.0]
    run = run_of(tmp_path / "r", [200 - s if lower else s for s in scores], [10, 100, 300, 1000], lower, 7.0)
    found = TradeOff(Reading.of(run))
    assert found.obstacle == ""
    assert [one.entry["setting"] for one in found.front] == [3, 1, 0], "300 parameters do worse than 100"
    assert found.smallest.entry["setting"] == 1
    said = words.smallest(found)
    assert "the winner's 95 % interval" in said
    assert "width 16" in said
    assert "with 100 parameters, 10 % of those of the winner, width 64 (1000 parameters)" in said
    assert words.front(found).startswith(
        "3 of 4 settings are on the front: of return, parameters, prediction"
    )
    assert words.missing(found) == ["Not measured. Training time of each setting: its program could not be "
                                    "timed by itself."]  # fmt: skip
    # Trained scores that are 7 higher are over-fitting where high is good, and the contrary otherwise.
    assert found.settings[0].over_fitting.value == pytest.approx(-7.0 if lower else 7.0)


def test_where_no_smaller_one_is_as_good_that_is_said(tmp_path):
    found = TradeOff(Reading.of(run_of(tmp_path / "a", [80.0, 90.0, 97.0, 100.0], [10, 100, 300, 1000])))
    assert words.smallest(found).startswith("No smaller setting has a return within the 95 % interval")
    assert "no score on what was trained on" in words.missing(found)[-1]
    same = TradeOff(Reading.of(run_of(tmp_path / "b", [80.0, 90.0, 97.0, 100.0], [10] * 4)))
    assert words.smallest(same) == "All settings have 10 parameters: none is smaller than another."
    assert words.front(same).startswith("All settings cost the same (parameters 10, prediction time 10 µs")
    assert words.front(same).endswith(", so the score alone decides.")
    assert section(same.reading)["table"] is None
    assert [one.entry["setting"] for one in same.front] == [3]


def test_a_run_without_costs_says_why(tmp_path):
    one = fake_run(tmp_path / "one", axes={}, media=False)
    assert "one setting" in TradeOff(Reading.of(one)).obstacle
    old = fake_run(tmp_path / "old", axes=WIDTHS, media=False)
    assert "earlier version" in TradeOff(Reading.of(old)).obstacle
    stopped = fake_run(tmp_path / "stopped", axes=WIDTHS, media=False, status="stopped")
    assert "has not ended" in TradeOff(Reading.of(stopped)).obstacle


def test_costs_are_written_in_fitting_units():
    assert [written_bytes(b) for b in (820, 20_560, 3.1e6, None)] == ["820 B", "20.6 kB", "3.1 MB", "–"]
    assert [written_seconds(s) for s in (42e-6, 1.3e-3, 134.0)] == ["42 µs", "1.3 ms", "2 min 14 s"]


def test_the_page_draws_the_front(browser, tmp_path):
    page = report.write([run_of(tmp_path / "r", [80.0, 98.5, 97.0, 100.0], [10, 100, 300, 1000], False, 7.0)])
    browser.open(page, width=390)
    assert browser.errors() == []
    shown = browser.run("""
        const charts = [...document.querySelectorAll('#trade-off [data-chart]')];
        const rows = [...document.querySelectorAll('#trade-off-table tbody tr')];
        return [charts.map((c) => c.dataset.chart), charts.map((c) => c.querySelectorAll('.point').length),
                rows.map((r) => r.cells[1].textContent),
                document.documentElement.scrollWidth <= innerWidth];""")
    names, points, front, fits = shown
    assert names == ["trade-off-parameters", "trade-off-seconds", "trade-off-bytes"]
    assert points == [4, 4, 4]
    assert front == ["yes", "yes", "yes", "no"]
    assert fits
    np.testing.assert_equal(
        browser.run("return document.querySelector('#trade-off p').textContent.includes('width 16')"), True
    )
