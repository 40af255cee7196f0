"""What is made of the scores of a run: which setting is chosen, and what it is said to have reached."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pytest

from populace.core.population import Population, sweep
from populace.engine.controller import Control
from populace.runs import results
from populace.runs.results import Scores
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


def test_a_diverged_member_counts_as_the_worst_of_any_setting(population):
    found = scores(population, [NAN, 1, 2, 4, 9, 5], diverged_at=[7, -1, -1, -1, -1, -1])
    summary = results.summary(population, found, found.validation, 0)
    worst = 9.0 if population.learner.mode == "min" else -9.0
    assert summary["diverged"] == 1
    assert summary["scores"][0] == worst


def test_the_best_and_the_median_member_of_the_best_setting_are_named(population):
    found = scores(population, [8, 8, 8, 3, 1, 2], diverged_at=[-1, 4, -1, -1, -1, -1])
    table = results.table(population, found, 1, 5, {})
    best = table["best"]
    assert (best["setting"], best["member"], best["median_member"]) == (1, 4, 5)
    assert [s["diverged"] for s in table["settings"]] == [1, 0]
    assert [m["diverged_at"] for m in table["members"]] == [None, 4, None, None, None, None]


def test_evaluations_are_collected_member_by_member():
    population = sweep(Quadratic(), {"learning_rate": [0.1, 0.2]}, seeds=1)
    best = SimpleNamespace(score=np.array([-1.0, -np.inf]), step=np.array([20, 0]))
    engine = SimpleNamespace(
        population=population, group_states=[SimpleNamespace(best=best)],
        gather=lambda parts: parts[0], diverged_at=lambda: np.array([-1, 15]), control=Control(),
    )  # fmt: skip
    table = pa.table({"step": [10, 10, 20, 20, 30, 30], "loss": [4.0, 7.0, 1.0, None, 4.0, None]})
    found = results.collect(engine, table)
    np.testing.assert_array_equal(found.validation, [1.0, NAN])
    np.testing.assert_array_equal(found.course, [3.0, 7.0])
    np.testing.assert_array_equal(found.last, [4.0, NAN])
    engine.control = Control(None, [{"step": 10, "stop_members": [1]}])
    np.testing.assert_array_equal(results.collect(engine, table).last, [4.0, 7.0])  # stopped, not diverged
