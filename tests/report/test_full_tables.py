"""Reports of very many settings and members: what they draw and list, and the files beside them."""

import re

import numpy as np
import pyarrow.compute as pc
import pytest
from fake_run import FakeRun, fake_run
from pyarrow import csv

from populace import report
from populace.report.charts import curves
from populace.report.runs import Reading
from populace.report.sections import training
from populace.report.text import full_tables

MANY = {
    "learning_rate": np.geomspace(1e-4, 1e-2, 42).tolist(),
    "exploration.decay": [0.9 + i / 100 for i in range(10)],
}


@pytest.fixture(autouse=True)
def fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(full_tables, "MEMBERS", 400)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> FakeRun:
    """A run of 420 settings of one member each."""
    folder = tmp_path_factory.mktemp("many")
    return fake_run(folder, axes=MANY, seeds=1, diverged=(13, 62), media=False, external=False)


def test_a_report_of_many_settings_lists_the_best_and_files_beside_it_hold_all(many, tmp_path):
    page = report.write([many], tmp_path / "seen.html")
    text = page.read_text()
    assert len(text) < 3e6
    rows = {
        name: text.split(f'<table id="{name}-table"')[1].split("</table>")[0].count("<tr ")
        for name in ("settings", "members")
    }
    assert rows == {"settings": 200, "members": 400}
    assert "The best 200 of 420 settings are listed; all of them are in" in text
    assert "The best and the worst 200 of 420 members are listed; all of them are in" in text
    assert re.findall(r'href="(seen-[a-z]+\.csv)"', text) == ["seen-settings.csv", "seen-members.csv"]
    found = Reading.of(many)
    settings, members = (csv.read_csv(tmp_path / f"seen-{name}.csv") for name in ("settings", "members"))
    assert settings["setting"].to_pylist() == [entry["setting"] for entry in found.ranked]
    assert settings["test"].to_pylist() == [found.believed(entry).value for entry in found.ranked]
    assert members["member"].to_pylist() == list(range(420))
    assert [m["diverged_at"] for m in found.members] == members["diverged_at"].to_pylist()
    assert [m["values"]["learning_rate"] for m in found.settings] == members["learning_rate"].to_pylist()
    assert pc.sum(settings["diverged"]).as_py() == 2


def test_of_many_members_the_best_and_the_worst_are_listed_and_all_of_few(tmp_path):
    run = Reading.of(
        fake_run(
            tmp_path, axes={"learning_rate": [1e-3]}, seeds=405, diverged=(13,), media=False, external=False
        )
    )
    shown = full_tables.shown_members(run)
    scores = sorted(m["test"]["score"] for m in run.members if m["diverged_at"] is None)
    assert len(shown) == 400
    assert sorted(m["test"]["score"] for m in shown if m["diverged_at"] is None) == [
        *scores[:199],
        *scores[-200:],
    ]
    assert 13 in [m["member"] for m in shown]
    few = Reading.of(fake_run(tmp_path, axes={"learning_rate": [1e-3]}, seeds=5, media=False))
    assert full_tables.shown_members(few) == few.members
    assert full_tables.notes(few, tmp_path / "report.html") == {}


def test_curves_of_many_settings_are_a_sample_and_say_so(many):
    chart = training.learning_curves(Reading.of(many))
    (faint,) = [entry for entry in chart.legend if entry["color"] == "faint"]
    assert faint["label"].startswith("100 of the 414 other settings")
    lines = chart.traces[faint["traces"][0]]["x"].count(None)
    assert lines == training.OTHERS


def test_rows_of_a_grid_are_found_by_member_without_a_look_at_the_others(many):
    found = curves.grid(Reading.of(many).evaluation, "return")
    np.testing.assert_array_equal(found.rows([7, 3, 999]), found.values[[7, 3]])
    looked = []

    class Watched(np.ndarray):
        def __getitem__(self, key):
            looked.append(np.size(key))
            return super().__getitem__(key)

    watched = curves.Grid(found.units, found.steps, found.members.view(Watched), found.values)
    watched.rows([400])
    assert sum(looked) == 1
