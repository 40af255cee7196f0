"""Training metrics that belong together are on one axis; what the learner warns of is a caveat."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from populace.report.charts.curves import metrics_of
from populace.report.runs import Reading
from populace.report.sections.training import diagnostics
from populace.report.text.final_metrics import final_metrics_table
from populace.report.text.summary import caveats
from tests.report.fake_run import fake_run


@pytest.fixture
def reading(tmp_path: Path) -> Reading:
    return Reading.of(fake_run(tmp_path / "run"))


def changed(reading: Reading, **results) -> Reading:
    return dataclasses.replace(reading, results=reading.results | results)


def test_metrics_that_belong_together_share_an_axis(reading: Reading) -> None:
    first, second = metrics_of(reading.train)[:2]
    apart = diagnostics(reading)
    charts = diagnostics(changed(reading, together=[[first, second, "nowhere"], ["nowhere"]]))
    assert len(charts) == len(apart) - 1
    assert charts[0].title == f"{first} and {second}".replace("_", " ")
    assert [entry["label"] for entry in charts[0].legend] == [m.replace("_", " ") for m in (first, second)]
    lines = [trace for trace in charts[0].traces if trace.get("line", {}).get("width") == 2]
    assert len(lines) == 2
    alone = {chart.title: chart.traces[-1]["y"] for chart in apart}
    for line, entry in zip(lines, charts[0].legend):
        np.testing.assert_array_equal(line["y"], alone[entry["label"]])
        assert line in [charts[0].traces[i] for i in entry["traces"]]


def test_a_learner_warns(reading: Reading) -> None:
    assert "Mode collapse in 1 of 4 members." in caveats(
        changed(reading, caveats=["Mode collapse in 1 of 4 members."])
    )


def test_the_final_metrics_stand_beside_their_floors(reading: Reading) -> None:
    best = reading.results["best"]["setting"]
    members = [
        member
        | (
            {
                "test": (member["test"] or {"score": 1.0})
                | {"metrics": {"kindness": 2.0 + i, "kindness_floor": 0.5}}
            }
        )
        for i, member in enumerate(reading.members)
    ]
    table = final_metrics_table(changed(reading, members=members))
    assert table is not None
    assert [column.title for column in table.columns] == ["metric", "value", "floor"]
    _, row = table.rows
    own = [m["test"]["metrics"]["kindness"] for m in members if m["setting"] == best]
    assert row.cells[0].text == "kindness"
    assert min(own) <= row.cells[1].key <= max(own)
    assert row.cells[2].key == 0.5
    plain = [m | {"test": (m["test"] or {"score": 1.0}) | {"metrics": {}}} for m in members]
    assert final_metrics_table(changed(reading, members=plain)) is None
