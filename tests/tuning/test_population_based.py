"""Population-based training: who copies whom, what becomes of the settings, and the example of its paper."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace import report
from populace.core.errors import UsageError
from populace.core.learner import Learner
from populace.core.mean import Mean
from populace.core.population import sweep
from populace.core.settings import setting
from populace.engine.callbacks import Evaluation
from populace.engine.training_loop import Engine
from populace.runs.recipe.parsing import parse
from populace.runs.training.launch import run_recipe, train
from populace.tuning import PopulationBased, Schedule
from tests.learners import Quadratic

RATES = [0.1, 0.05, 0.02, 0.01]
NAN = float("nan")


class Surrogate(Learner):
    """Ascends 1.2 - h1 t1^2 - h2 t2^2, from (.9, .9); what counts is 1.2 - t1^2 - t2^2."""

    score: ClassVar[str] = "q"
    h1: float = setting(1.0, low=0, high=1.5, help="weight of the first square")
    h2: float = setting(0.0, low=0, help="weight of the second square")

    def init(self, key: jax.Array) -> jax.Array:
        return jnp.full(2, 0.9)

    def step(self, state: jax.Array, key: jax.Array) -> tuple[jax.Array, Any]:
        return state - 0.01 * 2 * jnp.stack([self.h1, self.h2]) * state, {}

    def evaluate(self, state: jax.Array, key: jax.Array) -> Any:
        return {"q": Mean(1.2 - (state**2).sum())}


def test_two_members_that_see_half_each_solve_the_whole_together():
    agents = sweep(Surrogate(), [{"h1": 1.0, "h2": 0.0}, {"h1": 0.0, "h2": 1.0}], seeds=100)

    def reached(controller: Any) -> np.ndarray:
        engine = Engine(agents, "vmap", controller=controller)
        engine.train(1000, window=500, evaluate_every=20)
        q = engine.evaluate().metrics["q"].reshape(2, 100)
        assert controller is None or engine.control.decisions
        return q.max(0)

    rule = PopulationBased(fraction=0.5, resample=0.5).planned(agents, 1000, 20)
    assert reached(rule).min() >= 1.19
    assert reached(None) == pytest.approx(0.39, abs=1e-3)


def decided(scores: list[float], rule: PopulationBased, seeds: int = 1, state: Any = None) -> Any:
    agents = sweep(Quadratic(), {"learning_rate": RATES[: len(scores) // seeds]}, seeds=seeds)
    rule = rule.planned(agents, 100, 10)
    column = np.asarray(scores)
    evaluation = Evaluation(10, {"loss": column}, np.where(np.isnan(column), 3, -1))
    return rule.decide(state or rule.init(agents), evaluation, agents)


def test_the_worst_take_over_the_best_with_settings_near_theirs():
    state, decision = decided([3.0, 1.0, 2.0, 9.0], PopulationBased())
    assert decision.copy == {3: 1}  # smaller is better
    assert decision.settings[3]["learning_rate"] in (0.05 * 0.8, 0.05 * 1.2)
    assert state == {"3": decision.settings[3]}
    # What a donor has taken over itself is what is passed on.
    _, later = decided([3.0, 5.0, 2.0, 1.0], PopulationBased(perturb=0.0), state=state)
    assert later.copy == {1: 3}
    assert later.settings == {1: state["3"]}


def test_seeds_are_populations_by_themselves():
    scores = np.array([[1.0, 4, 1], [2, 3, 1], [3, 2, 1], [4, 1, 1]])
    _, decision = decided(scores.ravel().tolist(), PopulationBased(), seeds=3)
    assert decision.copy == {9: 0, 1: 10, 11: 2}  # the third seed's members are equally good
    _, mixed = decided(scores.ravel().tolist(), PopulationBased(within="all", fraction=0.1), seeds=3)
    assert mixed.copy == {9: 0}


def test_what_diverged_is_replaced_and_is_never_copied():
    _, decision = decided([NAN, 1.0, NAN, NAN], PopulationBased())
    assert decision.copy == {0: 1, 2: 1, 3: 1}
    assert decided([NAN] * 4, PopulationBased())[1] is None


def test_a_value_outside_its_range_is_not_taken_and_others_of_the_sweep_may_be_drawn():
    agents = sweep(Surrogate(), [{"h1": 1.0, "h2": 0.5}, {"h1": 0.0, "h2": 0.25}])
    evaluation = Evaluation(10, {"q": np.array([1.0, 0.0])}, np.array([-1, -1]))

    def found(**settings: Any) -> set[tuple[float, ...]]:
        rules = [PopulationBased(every=10, seed=seed, **settings) for seed in range(30)]
        decisions = [rule.decide({}, evaluation, agents)[1] for rule in rules]
        return {tuple(d.settings[1].values()) for d in decisions if d}

    assert found() == {(a, b) for a in (0.8, 1.2) for b in (0.4, 0.6)}
    assert found(resample=1.0) == {(1.0, 0.5), (0.0, 0.25)}
    assert found(perturb=0.99) == {
        (0.010000000000000009, 0.0050000000000000044),
        (1.0, 0.0050000000000000044),
    } | {(0.010000000000000009, 0.995), (1.0, 0.995)}


def test_a_run_that_exchanges_says_where_each_member_came_from(tmp_path):
    agents = sweep(Quadratic(), {"learning_rate": RATES}, seeds=2)
    options: Any = {"evaluate_every": 10, "log_every": 10, "final_evaluation_size": 1, "strategy": "vmap"}
    run = train(agents, 40, out=tmp_path / "run", controller=PopulationBased(), **options)
    found = run.results()
    members = found["members"]
    copied = [m for m in members if m["lineage"]]
    assert copied
    for member in copied:
        assert all(entry["source"] % 2 == member["member"] % 2 for entry in member["lineage"]), "of its seed"
    rates = {m: values["learning_rate"] for entry in found["decisions"] for m, values in entry["settings"]}
    for member, rate in rates.items():  # the latest
        assert float(run.member(member).learner.learning_rate) == np.float32(rate)
    # One outcome for each seed: its best member by validation, measured afresh.
    populations = found["populations"]
    assert populations["of"] == "seed"
    for seed, best in enumerate(populations["best"]):
        own = members[seed::2]
        assert members[best]["validation"]["score"] == min(m["validation"]["score"] for m in own)
    assert populations["test"]["scores"] == [members[m]["test"]["score"] for m in populations["best"]]
    page = report.write([run]).read_text()
    assert f"The state of {len(copied)} members was copied from another member." in page
    assert "the best member of each counts once: loss" in page


def test_the_winner_trained_alone_by_its_schedule_is_the_winner_to_the_bit(tmp_path):
    agents = sweep(Quadratic(), {"learning_rate": RATES, "fuse": [1e8, 1e9]}, seeds=2)
    options: Any = {"evaluate_every": 10, "log_every": 10, "final_evaluation_size": 1, "strategy": "map"}
    rule = PopulationBased(fraction=0.5, perturb=0.5)
    whole = train(agents, 60, out=tmp_path / "run", controller=rule, **options)
    results, file = whole.results(), tmp_path / "run" / "winner.toml"
    winner = results["populations"]["winner"]
    recipe = parse(file.read_text(), str(file), trust=True)
    assert isinstance(recipe.controller, Schedule)
    assert recipe.controller.changes, "nothing to replay: the test shows nothing"
    alone = run_recipe(recipe, tmp_path / "alone")
    mine, theirs = alone.member(0).weights(), whole.member(winner).weights()
    assert all(np.array_equal(mine[name], theirs[name]) for name in theirs)
    assert alone.results()["members"][0]["last"] == {
        "score": results["members"][winner]["validation"]["score"]
    }
    page = report.write([whole]).read_text()
    assert f"The model of the winner, member {winner}, kept at step" in page
    assert "winner.toml" in page


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        (
            Schedule(changes=("15 learning_rate 0.1",)),
            "at step 15, which must be a multiple of evaluate_every, 10",
        ),
        (Schedule(changes=("40 learning_rate 0.1",)), "at step 40, .* below steps, 40"),
        (
            Schedule(changes=("10 learning_rate",)),
            "a change must be \"STEP PATH VALUE\", got '10 learning_rate'",
        ),
    ],
)
def test_a_schedule_that_cannot_be_followed_is_refused(rule, line):
    with pytest.raises(UsageError, match=line):
        rule.planned(sweep(Quadratic()), 40, 10)
    with pytest.raises(UsageError, match="a schedule is one member's, and this run has 2"):
        rule.planned(sweep(Quadratic(), seeds=2), 40, 10)


@pytest.mark.parametrize(
    ("axes", "rule", "line"),
    [
        ({"width": [2, 3]}, PopulationBased(), "'width' cannot be swept: only float settings"),
        (None, PopulationBased(), "needs at least 2 settings to exchange, and this run has one"),
        (
            {"learning_rate": RATES},
            PopulationBased(every=15),
            "every 15 must be a multiple of evaluate_every, 10",
        ),
        ({"learning_rate": RATES}, PopulationBased(every=100), "every 100 must be below steps, 100"),
    ],
)
def test_what_cannot_exchange_is_refused(axes, rule, line):
    with pytest.raises(UsageError, match=line):
        rule.planned(sweep(Quadratic(), axes), 100, 10)
