"""What a score of the training itself is called, also where it is confirmed on new seeds."""

import dataclasses
import io

import pytest
from rich.console import Console

from populace.analysis.fit_kernel import FitKernel
from populace.cli.results import print_results
from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.report.runs import Reading
from populace.report.text import summary
from populace.rl.bandits.bandit import Bandit
from populace.runs.training.launch import train
from tests.learners import Quadratic

OPTIONS = {"strategy": "vmap", "final_evaluation_size": 1, "log_every": 10, "evaluate_every": 20}


class OfTraining(Quadratic):
    """Its score is a number of the training itself, as the regret of a bandit is."""

    @property
    def independent_test(self) -> None:
        return None

    def test_description(self, size: int) -> str:
        return "the first steps of training"


def test_a_score_of_the_training_itself_is_shown_once_and_confirmed_by_new_seeds_alone(tmp_path):
    population = sweep(OfTraining(), {"learning_rate": [0.03, 0.1]}, seeds=5)
    run = train(population, 20, out=tmp_path / "run", confirm=5, **OPTIONS)
    found = run.results()
    assert found["independent_test"] is None
    assert found["best"]["test"] is None
    assert all(member["test"] is None for member in found["members"])
    out = io.StringIO()
    print_results(Console(file=out, width=200), run.path, found)
    value = f"loss {found['best']['validation']['iqm'][0]:.4g} ("
    assert out.getvalue().count(value) == 1
    assert f"score        {value}" in out.getvalue()
    assert "on the first steps of training" in out.getvalue()
    assert "confirmed    loss" in out.getvalue()
    read = Reading.of(run)
    assert len(read.confirmed) == 2
    assert read.confirmed[0]["test"] == found["confirmation"]["settings"][0]["validation"]
    assert "on 5 new seeds that took no part in choosing it" in summary.answer(read)
    assert [row["title"] for row in summary.scores_by_source(read)] == ["Score", "Confirmation"]
    assert "the confirmation is not" in summary.bias(read)
    alone = dataclasses.replace(read, results=found | {"confirmation": None})
    assert "measured on the first steps of training" in summary.answer(alone)
    assert "populace confirm" in summary.bias(alone)
    with pytest.raises(UsageError, match="is of the training itself and cannot be measured again"):
        run.evaluate()


@pytest.mark.parametrize("learner", [Bandit(), FitKernel()])
def test_bandits_and_kernels_are_scored_by_their_training(learner):
    assert learner.independent_test is None
