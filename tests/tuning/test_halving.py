"""Successive halving and Hyperband: who is promoted at which rung, what that costs, and who may win."""

from typing import Any

import numpy as np
import pytest

from populace import report
from populace.core.errors import UsageError
from populace.core.population import Population, sweep
from populace.engine.callbacks import Evaluation
from populace.runs.outcome.scores.measured import Scores
from populace.runs.results import rank
from populace.runs.training.launch import train
from populace.tuning import Hyperband, SuccessiveHalving
from tests.learners import Quadratic

RATES = np.geomspace(1e-4, 1e-1, 81).tolist()


def population(settings: int, seeds: int = 1) -> Population:
    return sweep(Quadratic(), {"learning_rate": RATES[:settings]}, seeds=seeds)


def trained(controller: Any, population: Population, steps: int, every: int, losses: Any) -> np.ndarray:
    """Return how many iterations each member trained by the decisions alone; `losses(step)` scores."""
    controller = controller.planned(population, steps, every)
    state, ended = controller.init(population), np.full(len(population), steps)
    for step in range(every, steps + 1, every):
        column = np.where(ended < step, np.nan, losses(step))
        diverged = np.where(np.isnan(losses(step)), 1, -1)
        state, decision = controller.decide(state, Evaluation(step, {"loss": column}, diverged), population)
        if decision is not None:
            assert not (ended[list(decision.stop_members)] < step).any(), "stopped twice"
            ended[list(decision.stop_members)] = step
    return ended


def test_eighty_one_settings_take_297_epochs():
    losses = np.random.default_rng(0).permutation(81).astype(float)
    ended = trained(SuccessiveHalving(), population(81), 81, 1, lambda step: losses)
    assert ended.sum() == 297
    for rung, stayed in ((1, 81), (3, 27), (9, 9), (27, 3), (81, 1)):
        assert set(np.flatnonzero(ended >= rung)) == set(np.argsort(losses)[:stayed])


@pytest.mark.parametrize(
    ("settings", "eta", "counts"), [(10, 2, [10, 5, 2, 1]), (7, 3, [7, 2]), (2, 4, [2, 1])]
)
def test_of_counts_that_do_not_divide_as_many_stay_as_are_whole(settings, eta, counts):
    losses = np.arange(settings)[::-1].astype(float)
    controller = SuccessiveHalving(min_steps=2, eta=eta)
    ended = trained(controller, population(settings), 2 * eta ** (len(counts) - 1), 1, lambda step: losses)
    assert [int((ended >= 2 * eta**k).sum()) for k in range(len(counts))] == counts
    assert ended[-1] == ended.max()  # the last is the best


def test_a_setting_is_judged_by_the_middle_of_its_seeds_at_that_moment():
    scores = np.array([[1, 1, 1, 900.0], [2, 2, 2, 2], [0, 0, np.nan, np.nan], [5, 5, 5, 5]]).ravel()
    ended = trained(SuccessiveHalving(eta=2, min_steps=1), population(4, 4), 3, 1, lambda step: scores)
    assert ended.reshape(4, 4).max(1).tolist() == [3, 2, 1, 1]


def test_what_is_measured_later_counts_later():
    early, late = np.arange(4.0), np.array([9.0, 0, 9, 9])
    ended = trained(
        SuccessiveHalving(eta=2, min_steps=1), population(4), 4, 1, lambda step: early if step < 2 else late
    )
    assert ended.tolist() == [2, 4, 1, 1]


def test_hyperband_deals_settings_to_brackets_that_halve_by_themselves():
    controller = Hyperband(eta=3).planned(population(81), 81, 1)
    state = controller.init(population(81))
    assert controller.firsts() == [1, 3, 9, 27, 81]
    # 81/5, 27/4, 9/3, 3/2, 1 of every 28.45, one each beforehand
    assert [b["settings"] for b in state] == [44, 19, 9, 5, 4]
    losses = np.random.default_rng(1).permutation(81).astype(float)
    ended = trained(Hyperband(eta=3), population(81), 81, 1, lambda step: losses)
    assert (ended[77:] == 81).all()  # the last bracket stops nobody
    assert int((ended[:44] >= 3).sum()) == 14
    assert int((ended[44:63] >= 9).sum()) == 6


def test_a_smaller_program_trains_the_rest_alike_and_the_winner_is_confirmed(tmp_path):
    agents = sweep(Quadratic(), {"learning_rate": [1e-4, 0.1, 1e-3, 0.05]}, seeds=2)
    options: Any = {"evaluate_every": 10, "log_every": 5, "final_evaluation_size": 1, "strategy": "map"}
    whole = train(agents, 40, out=tmp_path / "whole", **options)
    rule = SuccessiveHalving(eta=2)
    halved = train(agents, 40, out=tmp_path / "halved", controller=rule, confirm=2, **options)
    results = halved.results()
    assert "min_steps = 10" in (tmp_path / "halved" / "recipe.toml").read_text()
    ended = [m["stopped_at"] for m in results["members"]]
    assert ended.count(10) == 4
    assert ended.count(20) == 2
    assert ended.count(None) == 2
    winner = results["best"]["setting"]
    assert results["members"][2 * winner]["stopped_at"] is None
    assert results["members"][2 * results["best"]["rival"]]["stopped_at"] == 20
    assert [s["setting"] for s in results["confirmation"]["settings"]] == [winner, results["best"]["rival"]]
    assert (results["eliminated"], results["populations"]) == (True, None)
    told = f"{results['timing']['units_per_s'] * results['timing']['train_s']:.0f}"
    assert told == str(4 * 10 + 2 * 20 + 2 * 40), "steps that were trained, and no others"
    page = report.write([halved]).read_text()
    assert "3 of 4 settings were stopped before the end, from step 10 on, for their scores" in page
    for m, at in enumerate(ended):
        for name in ("train", "evaluation"):
            mine, theirs = (run.metrics(name).to_pandas().query(f"member == {m}") for run in (halved, whole))
            mine, theirs = mine[mine.loss.notna()], theirs[theirs.step <= (at or 40)]
            assert mine.loss.tolist() == theirs.loss.tolist()
        if at is None:
            one, other = (run.member(m).weights() for run in (halved, whole))
            assert all(np.array_equal(one[k], other[k]) for k in one)


def test_who_was_stopped_ranks_behind_who_trained_on_whatever_it_had_scored():
    nothing = np.full(6, -1)
    scores = Scores(
        validation=np.array([1.0, 2, 3, 4, 5, np.nan]), selection_step=nothing, last=nothing, course=nothing,
        diverged_at=np.array([-1, -1, -1, -1, -1, 7]), stopped_at={0: 10, 1: 20, 2: 20}, eliminated=True,
    )  # fmt: skip
    assert rank(population(6), scores) == [3, 4, 1, 2, 0, 5]
    scores.eliminated = False
    assert rank(population(6), scores) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("controller", "settings", "line"),
    [
        (SuccessiveHalving(), 1, "halving chooses among settings, and this run has one; sweep a setting"),
        (SuccessiveHalving(min_steps=15), 9, "min_steps 15, must be a multiple of evaluate_every, 10"),
        (SuccessiveHalving(min_steps=100), 9, "min_steps 100, must come before the end, steps 100"),
        (Hyperband(min_steps=10), 2, "hyperband has 3 brackets here, of one setting at least"),
    ],
)
def test_what_cannot_be_halved_is_refused(controller, settings, line):
    with pytest.raises(UsageError, match=line):
        controller.planned(population(settings), 100, 10)
