"""A run that goes on to more steps ends as if it had been asked for them at first."""

from pathlib import Path
from typing import Any

import pytest

from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.runs.run import Run
from populace.runs.training.launch import train
from populace.tuning import TargetScore
from tests.conftest import checkpoint_steps, outcome_of
from tests.learners import Quadratic

POPULATION = sweep(Quadratic(), {"learning_rate": [0.1, 0.03]}, seeds=2)
INTERVALS = {"log_every": 10, "evaluate_every": 20}


def trained(folder: Path, steps: int, **options: Any) -> Run:
    return train(POPULATION, steps, out=folder, strategy="vmap", final_evaluation_size=1, **options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a run of 120 steps in one go ends in."""
    return outcome_of(trained(tmp_path_factory.mktemp("runs") / "whole", 120, **INTERVALS).path)


def test_a_finished_run_is_trained_on(tmp_path, whole):
    run = trained(tmp_path / "run", 60, **INTERVALS)
    before = run.results()
    (run.path / "report.html").write_text("of 60 steps")
    (run.path / "media").mkdir()
    assert run.finished
    opened = Run.load(run.path)
    assert opened.member(0).weights()["weights"].shape == (3,)
    assert opened.resume(steps=120) is opened
    assert outcome_of(run.path) == whole
    results = opened.results()
    assert (before["steps"], results["steps"], results["steps_total"]) == (60, 120, 120)
    assert opened.finished
    assert Run.load(run.path).recipe.options.steps == opened.recipe.options.steps == 120
    assert not (run.path / "report.html").exists()
    assert not (run.path / "media").exists()
    assert checkpoint_steps(run.path)[-1] == 120
    unchanged = (run.path / "results.json").stat().st_mtime_ns
    opened.resume(steps=120)
    assert (run.path / "results.json").stat().st_mtime_ns == unchanged


def test_intervals_that_followed_from_the_steps_stay_as_they_were(tmp_path):
    run = trained(tmp_path / "run", 60).resume(120)
    assert (run.recipe.options.log_every, run.recipe.options.evaluate_every) == (1, 3)
    once = trained(tmp_path / "once", 120, log_every=1, evaluate_every=3)
    assert outcome_of(run.path) == outcome_of(once.path)


def test_a_run_killed_while_it_was_asked_for_more_goes_on(tmp_path, whole):
    run = trained(tmp_path / "run", 60, **INTERVALS)
    recipe = run.path / "recipe.toml"
    recipe.write_text(
        recipe.read_text().replace("steps = 60", "steps = 120")
    )  # and the old results are there
    again = Run.load(run.path, trust=True)  # it was changed by hand here
    assert not again.finished
    again.resume()
    assert outcome_of(run.path) == whole


def test_fewer_steps_are_refused(tmp_path):
    run = trained(tmp_path / "run", 60, **INTERVALS)
    recipe = run.recipe_text()
    for steps, line in (
        (59, "was asked for 60 steps, and only more can be added; got 59"),
        (0, "steps: input"),
    ):
        with pytest.raises(UsageError, match=line):
            run.resume(steps=steps)
    assert run.recipe_text() == recipe
    assert run.finished


def test_a_run_that_its_controller_ended_is_not_trained_on(tmp_path):
    run = trained(tmp_path / "run", 60, **INTERVALS, controller=TargetScore(1e9))  # reached at once
    with pytest.raises(UsageError, match=r"ended by its controller at step 20 \(.*target is 1e\+09\); more"):
        run.resume(steps=120)
    assert run.results()["steps_total"] == 60
