"""A run before it has ended: results of its evaluations until now, and how far it is."""

import time
from pathlib import Path

import numpy as np
import pytest

from populace.core.errors import RunError
from populace.runs.integrity import status as statuses
from populace.runs.integrity.status import Progress, Status, progress
from populace.runs.so_far import RunSoFar
from tests.runs.integrity.conftest import copy, half, trained  # noqa: F401  fixtures


def test_a_half_trained_run_is_read_by_its_evaluations(half):  # noqa: F811
    run = RunSoFar.load(half)
    results, table = run.results(), run.metrics("evaluation").to_pandas()
    assert (results["status"], results["steps_total"]) == ("interrupted", 40)
    assert results["axes"] == {"learning_rate": [0.1, 0.05]}
    assert [entry["members"] for entry in results["settings"]] == [[0, 1], [2, 3]]
    best = table.groupby("member").loss.min()
    np.testing.assert_allclose([m["validation"]["score"] for m in results["members"]], best)
    means = [best[[0, 1]].mean(), best[[2, 3]].mean()]
    assert results["best"]["setting"] == int(np.argmin(means)), "a loss is better where it is low"
    assert results["settings"][1]["validation"]["iqm"][0] == pytest.approx(means[1])
    found = progress(half)
    assert (found.status.state, found.status.step, found.remaining) == ("interrupted", 20, None)


def test_a_member_without_a_score_has_ended_and_a_finished_run_has_its_results(copy, monkeypatch):  # noqa: F811
    run = RunSoFar.load(copy)
    assert run.results()["best"]["test"] is not None
    running = Status(copy, "running", 40, 50)
    monkeypatch.setattr("populace.runs.so_far.status", lambda path: running)
    table = run.metrics("evaluation")
    losses = [*table["loss"].to_pylist()[:-1], None]
    gone = table.set_column(table.column_names.index("loss"), "loss", [losses])
    monkeypatch.setattr(run, "metrics", lambda kind: gone)
    found = run.results()
    assert (found["ended"], found["settings"][1]["diverged"]) == (1, 1)
    monkeypatch.setattr(run, "metrics", lambda kind: gone.slice(1))
    with pytest.raises(RunError, match="not of the 4 members"):
        run.results()


def test_a_run_begun_by_an_earlier_version_says_so(half):  # noqa: F811
    (half / "population.json").unlink()
    with pytest.raises(RunError, match="an earlier version began the run"):
        RunSoFar.load(half).results()


def test_what_is_left_goes_on_as_it_went(monkeypatch):
    monkeypatch.setattr(statuses.time, "time", lambda: 1000.0)
    found = Progress(Status(Path(), "running", 25, 100), 50.0, 990.0)
    assert found.remaining == pytest.approx(150 - 10)
    assert Progress(Status(Path(), "running", 0, 100)).remaining is None
    assert time.time() == 1000.0
