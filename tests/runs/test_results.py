"""What is made of the scores of a run: which setting is chosen, and what it is said to have reached."""

import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pytest

from populace.core.population import Population, sweep
from populace.rl import DQN
from populace.runs import results
from populace.runs.outcome.scores import evaluation_cost
from populace.runs.outcome.scores.measured import Scores
from populace.runs.outcome.scores.tasks import Task
from populace.statistics import mean_interval
from tests.learners import Quadratic, Table

NAN = np.nan


@pytest.fixture(params=["lower", "higher"])
def population(request) -> Population:
    """Two settings of three seeds each, whose score is better lower, or higher."""
    if request.param == "lower":
        return sweep(Quadratic(), {"learning_rate": [0.1, 0.2]}, seeds=3)
    return sweep(Table(data=jnp.zeros((2, 2))), {"rate": [0.1, 0.2]}, seeds=3)


def scores(population: Population, better_less: list[float], **given: list[float]) -> Scores:
    """Return scores of which less is better, turned round where the learner wants them higher."""
    sign = 1.0 if population.learner.mode == "min" else -1.0
    selection = sign * np.asarray(better_less)
    return Scores(
        validation=selection,
        selection_step=np.arange(6) * 10,
        last=selection,
        course=sign * np.asarray(given.get("course", better_less)),
        diverged_at=np.asarray(given.get("diverged_at", [-1] * 6)),
    )


def test_the_better_setting_is_chosen_and_of_equal_ones_the_sooner(population):
    assert results.choose(population, scores(population, [3, 3, 3, 1, 1, 1])) == 1
    assert results.choose(population, scores(population, [1, 1, 1, 3, 3, 3])) == 0
    assert results.choose(population, scores(population, [1] * 6, course=[5, 5, 5, 4, 4, 4])) == 1
    assert results.choose(population, scores(population, [1] * 6)) == 0


def test_a_diverged_member_counts_as_its_floor_whatever_the_others_reached(population):
    found = scores(population, [NAN, 1, 2, 4, 9, 5], diverged_at=[7, -1, -1, -1, -1, -1])
    name, sign = population.learner.score, 1.0 if population.learner.mode == "min" else -1.0
    found.floors = [{name: sign * 50.0}, {name: sign * 60.0}]
    summary = results.summary(population, found, found.validation, 0)
    assert summary["diverged"] == 1
    assert summary["scores"] == [sign * 50.0, sign * 1.0, sign * 2.0]
    assert summary["success_rate"][0] == pytest.approx(2 / 3)
    # Neither what another setting reached nor that it diverged changes a setting's score.
    found.validation[3:], found.diverged_at[3:] = sign * 1e6, [-1, 3, 3]
    assert results.summary(population, found, found.validation, 0) == summary


def test_folds_are_summarized_by_their_mean_with_the_corrected_interval(population):
    found = scores(population, [1, 5, 3, 2, 9, 1])
    assert results.summary(population, found, found.validation, 0)["headline"] == "iqm"
    wide = sweep(Quadratic(), seeds=6)
    found = Scores(np.arange(6.0) ** 2, np.arange(6), np.zeros(6), np.zeros(6), np.full(6, -1))
    found.tasks = [Task("folds", "folds", None, {}, "a floor", 1 / 9)]
    summary = results.summary(wide, found, found.validation, 0)
    assert summary["headline"] == "mean"
    assert summary["mean"] == mean_interval(np.arange(6.0) ** 2, test_to_train=1 / 9).as_list()


class Counted(tuple):
    """Counts how often it is gone through."""

    passes = 0

    def __iter__(self):
        Counted.passes += 1
        return super().__iter__()


def test_results_go_through_the_members_once_however_many_settings_there_are():
    population = sweep(Quadratic(), {"learning_rate": np.linspace(0.01, 0.2, 40).tolist()}, seeds=2)
    spread = np.random.default_rng(0).normal(size=80)
    found = Scores(spread, np.arange(80), spread, spread, np.full(80, -1))
    found.external = {6: 1.0, 7: 2.0}
    population.__dict__["members"] = Counted(population.members)
    Counted.passes = 0
    table = results.table(population, found, results.choose(population, found), 1, {})
    assert Counted.passes <= 1
    assert [entry["members"] for entry in table["settings"]] == [[2 * i, 2 * i + 1] for i in range(40)]
    assert [m["setting"] for m in table["members"]] == [i // 2 for i in range(80)]
    assert [e["setting"] for e in table["settings"] if e["external"]] == [3]


def test_bootstraps_follow_the_seed_of_the_run():
    spread = np.random.default_rng(0).normal(size=12)
    said = []
    for seed in (0, 0, 1):
        population = sweep(Quadratic(), {"learning_rate": [0.1, 0.2]}, seeds=6, seed=seed)
        found = Scores(spread, np.arange(12), spread, spread, np.full(12, -1))
        said.append(results.summary(population, found, spread, 0)["iqm"])
    assert said[0] == said[1]
    assert said[0][0] == said[2][0]
    assert said[0] != said[2]


def test_settings_of_different_tasks_have_no_common_winner(population):
    found = scores(population, [3, 3, 3, 1, 1, 1])
    assert list(results.bests(population, found).values()) == [1]
    found.tasks = [Task(name, name, None, {}, "a floor") for name in ("one", "other")]
    assert results.bests(population, found) == {"one": 0, "other": 1}
    assert results.choose(population, found) == 0


def test_frames_of_evaluations_are_those_of_their_episodes():
    table = pa.table({"step": [1, 1, 2, 2], "length": [10.0, 20.0, 30.0, None]})
    assert evaluation_cost.per_member(DQN(evaluation_episodes=16), table, 2) == 16 * 60 / 2
    assert evaluation_cost.per_member(Quadratic(), table, 2) is None


def test_success_is_to_reach_the_threshold_and_not_to_diverge(population):
    found = scores(population, [4, 1, 2, 4, 9, 5], diverged_at=[-1, 5, -1, -1, -1, -1])
    sign = 1.0 if population.learner.mode == "min" else -1.0
    found.tasks = [Task("task", "task", sign * 2.0, {}, "a floor")] * 2
    rates = [results.summary(population, found, found.validation, i)["success_rate"][0] for i in range(2)]
    assert rates == [pytest.approx(1 / 3), 0.0]


def test_the_best_and_the_median_member_of_the_best_setting_are_named(population):
    found = scores(population, [8, 8, 8, 3, 1, 2], diverged_at=[-1, 4, -1, -1, -1, -1])
    table = results.table(population, found, 1, 5, {})
    best = table["best"]
    assert (best["setting"], best["member"], best["median_member"]) == (1, 4, 5)
    assert [s["diverged"] for s in table["settings"]] == [1, 0]
    assert [m["diverged_at"] for m in table["members"]] == [None, 4, None, None, None, None]
