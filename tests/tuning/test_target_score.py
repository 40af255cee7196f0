"""TargetScore: whose score must reach the target, from which side, and how a recipe and a command name it."""

from typing import Any

import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.core.population import Population, sweep
from populace.engine.callbacks import Evaluation
from populace.runs.recipe.parsing import parse
from populace.runs.run import Run
from populace.tuning import TargetScore
from tests.learners import Quadratic

SMALLER_IS_BETTER = sweep(Quadratic(), {"learning_rate": [0.1, 0.01]}, seeds=4)


class Rising(Quadratic):
    mode = "max"


def reason(controller: TargetScore, scores: list[float], population: Population = SMALLER_IS_BETTER) -> str:
    column = np.asarray(scores, np.float32)
    evaluation = Evaluation(10, {"loss": column}, np.where(np.isnan(column), 3, -1))
    _, decision = controller.decide(None, evaluation, population)
    return "" if decision is None else decision.stop


NAN = float("nan")


@pytest.mark.parametrize(
    ("of", "scores", "stops"),
    [
        ("setting", [5, 5, 5, 5, 0.0, 1, 1, 9], True),  # the interquartile mean of the second is 1
        ("setting", [0, 5, 5, 5, 0.0, 1.1, 1, 9], False),
        ("setting", [5, 5, 5, 5, 1, 1, 1, NAN], True),  # one of four is cut off as the worst
        ("setting", [5, 5, 5, 5, 0, 0, NAN, NAN], False),
        ("member", [5, 5, 5, 5, 5, 5, 5, 1], True),
        ("member", [NAN] * 7 + [1.5], False),
        ("all", [1] * 8, True),
        ("all", [1] * 7 + [1.1], False),
        ("all", [0] * 7 + [NAN], False),
    ],
)
def test_who_must_reach_it(of, scores, stops):
    assert bool(reason(TargetScore(1.0, of=of), scores)) is stops
    # From the other side it is the same.
    rising = sweep(Rising(), {"learning_rate": [0.1, 0.01]}, seeds=4)
    assert bool(reason(TargetScore(-1.0, of=of), [-x for x in scores], rising)) is stops


def test_the_reason_names_score_and_target():
    line = reason(TargetScore(1.0), [5, 5, 5, 5, 0.5, 0.5, 0.5, 0.5])
    assert line == "a setting's loss reached 0.5, the target is 1"


def test_a_target_must_be_finite():
    with pytest.raises(UsageError, match="score must be finite, got inf"):
        TargetScore(float("inf"))


def test_a_recipe_keeps_it(small):
    recipe = parse(
        small.read_text() + '\n[controller]\nkind = "target-score"\nscore = 20\nof = "member"\n', "x"
    )
    assert recipe.controller == TargetScore(20.0, of="member")
    assert parse(recipe.text(), "again").controller == recipe.controller
    with pytest.raises(UsageError, match=r"unknown controller 'target-scor'.*target-score"):
        parse(small.read_text() + '\n[controller]\nkind = "target-scor"\n', "x")
    with pytest.raises(UsageError, match="needs a `kind`"):
        parse(small.read_text() + "\n[controller]\nscore = 20\n", "x")


def test_the_command_line_stops_at_it(cli: Any, small, tmp_path):
    done = cli("run", small, "--target-score", 5, "--out", tmp_path / "run", "--no-report")
    assert done.code == 0, done.err
    run = Run.load(tmp_path / "run")
    results = run.results()
    assert results["steps"] < results["steps_total"]
    assert results["stopped_early"]["step"] == results["steps"]
    assert results["stopped_early"]["reason"] in done.out
    assert (results["status"], run.finished) == ("finished", True)
    assert results["best"]["test"]["n"] == 2
    assert "target-score" in run.recipe_text() or "TargetScore" in run.recipe_text()
