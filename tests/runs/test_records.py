"""What a run folder says in its files, without the learner that made it."""

import json

import pytest

from populace.core.errors import RunError, UsageError
from populace.runs.records import Records


def test_a_finished_run_is_read_from_its_files_alone(finished):
    records = Records(finished)
    assert records.recipe_text() == (finished / "recipe.toml").read_text()
    written = json.loads((finished / "results.json").read_text())
    assert written.pop("sha256")
    assert records.results() == written
    assert records.environment()["python"]
    assert set(records.metrics("evaluation").column_names) >= {"member", "step"}
    assert records.metrics().num_rows > 0
    assert records.sound
    assert records.sittings[0]["first_step"] == 0


def test_what_is_not_there_is_named(tmp_path):
    records = Records(tmp_path)
    with pytest.raises(UsageError, match="metrics are train or evaluation, got 'test'"):
        records.metrics("test")
    with pytest.raises(RunError, match="the run has not ended"):
        records.results()
    (tmp_path / "environment.json").write_text("{")
    with pytest.raises(RunError, match=r"environment\.json"):
        records.environment()
