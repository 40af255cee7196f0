"""Controllers: what they decide is done, is remembered, and is repeated exactly by a run that resumes."""

from typing import Any

import jax
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.core.settings import setting
from populace.engine.callbacks import Callback
from populace.engine.controller import Control, Controller, Decision, history, lineage, training_members
from populace.engine.training_loop import Engine
from populace.runs.recipe.options import options
from populace.runs.recipe.recipe import of_population
from populace.runs.run import Run
from populace.runs.training.launch import run_recipe, train
from populace.runs.training.session import Stopped
from tests.conftest import Reached
from tests.learners import Quadratic

STEPS, EVERY = 40, 10
POPULATION = sweep(Quadratic(), {"learning_rate": [0.1, 0.01]}, seeds=2)


class Planned(Controller):
    """Does what a test wants at the evaluation with a given number; counts them in its state."""

    at: int = setting(1, help="number of the evaluation")
    what: str = setting("", help="what is done")

    def init(self, population: Any) -> int:
        return 0

    def decide(self, state: int, evaluation: Any, population: Any) -> tuple[int, Decision | None]:
        return state + 1, DECISIONS[self.what] if state + 1 == self.at else None


DECISIONS: dict[str, Decision | None] = {
    "": None,
    "copy": Decision(copy={3: 0}),
    "swap": Decision(copy={0: 3, 3: 0}),
    "settings": Decision(settings={1: {"learning_rate": 0.05}}),
    "stop one": Decision(stop_members=(2,)),
    "all of it": Decision(copy={3: 0}, settings={3: {"learning_rate": 0.05}}, stop_members=(1, 2)),
    "stop": Decision(stop="enough"),
    "nobody": Decision(stop_members=(4,)),
    "shared": Decision(settings={0: {"limit": 5.0}}),
    "unknown": Decision(settings={0: {"learning_rat": 5.0}}),
    "outside": Decision(settings={0: {"learning_rate": -1.0}}),
}


def engine_of(what: str, at: int = 2, strategy: str = "vmap", **more: Any) -> Engine:
    return Engine(POPULATION, strategy, controller=Planned(at=at, what=what), **more)


def ended(engine: Engine, steps: int = STEPS) -> dict[int, list[np.ndarray]]:
    engine.train(steps, window=7, evaluate_every=EVERY)
    found = {}
    for index in range(len(POPULATION)):
        group_state, slot = engine.find(index)
        leaves = jax.tree.leaves(group_state.entry(slot))
        found[index] = [
            np.asarray(jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x)
            for x in leaves
        ]
    return found


@pytest.fixture(scope="module")
def undisturbed() -> dict[int, list[np.ndarray]]:
    return ended(engine_of(""))


def same(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_a_copied_member_has_the_state_of_its_source_and_goes_on_with_its_own_setting(undisturbed):
    at_once = ended(engine_of("copy"), 20)
    assert same(at_once[3], at_once[0])
    later = ended(engine_of("copy"))
    assert [same(later[i], undisturbed[i]) for i in range(4)] == [True, True, True, False]
    assert not same(later[3], later[0])  # another learning rate, and another key


def test_members_can_be_swapped():
    before, after = ended(engine_of(""), 20), ended(engine_of("swap"), 20)
    assert same(after[0], before[3])
    assert same(after[3], before[0])


def test_a_changed_setting_is_that_of_a_member_that_had_it_from_the_start():
    changed = ended(engine_of("settings", at=1), EVERY)  # nothing has been trained with it yet
    assert same(changed[1], ended(engine_of(""), EVERY)[1])
    engine = engine_of("settings", at=1)
    group_state, slot = engine.find(1)
    ended(engine)
    assert float(group_state.program.learner_of(slot).learning_rate) == np.float32(0.05)
    assert float(group_state.program.learner_of(0).learning_rate) == np.float32(0.1)
    assert engine.control.settings() == {1: {"learning_rate": 0.05}}


@pytest.mark.parametrize("strategy", ["vmap", "map"])
def test_a_stopped_member_stands_still_and_the_others_train_as_before(strategy):
    before, at_once = ended(engine_of("", strategy=strategy)), ended(engine_of("stop one", 2, strategy), 20)
    engine = engine_of("stop one", 2, strategy)
    after = ended(engine)
    assert [same(after[i], before[i]) for i in range(4)] == [True, True, False, True]
    assert same(after[2], at_once[2])
    assert engine.control.stopped_at() == {2: 20}
    assert engine.diverged_at().tolist() == [-1] * 4  # to be stopped is not to diverge


def test_where_half_are_stopped_a_smaller_program_trains_the_rest_alike():
    before, at_once = (ended(engine_of(what, strategy="map"), n) for what, n in (("", STEPS), ("", 20)))
    engine = engine_of("all of it", strategy="map")
    after = ended(engine)
    assert same(after[0], before[0])
    assert all(same(after[i], at_once[i]) for i in (1, 2))
    (group_state,) = engine.group_states
    assert group_state.running.group.indices.tolist() == [0, 3]
    assert float(group_state.running.program.learner_of(1).learning_rate) == np.float32(0.05)
    # The best models are found from outside as if there were one program.
    best = engine.gather([group_state.best.step])
    assert best[0] > 20
    assert (best[[1, 2]] <= 20).all()


def test_a_member_of_a_smaller_program_may_diverge_and_one_outside_it_be_revived():
    class Twice(Controller):
        def decide(self, state: Any, evaluation: Any, population: Any) -> Any:
            plan = {10: Decision(stop_members=(0, 3)), 30: Decision(copy={3: 1})}
            return None, plan.get(evaluation.step)

    population = sweep(Quadratic(), {"fuse": [1e9, 25.0]}, seeds=2)
    engine = Engine(population, "map", controller=Twice())
    engine.train(STEPS, window=7, evaluate_every=EVERY)
    assert engine.diverged_at().tolist() == [-1, -1, 25, 31]  # the copy has its own fuse
    assert engine.control.stopped_at() == {0: 10}
    alone = Engine(population, "map")
    alone.train(STEPS, window=7, evaluate_every=EVERY)
    group_state, slot = engine.find(1)
    other, _ = alone.find(1)
    np.testing.assert_array_equal(group_state.entry(slot)["weights"], other.entry(slot)["weights"])
    assert np.isinf(engine.group_states[0].entry(2)["weights"]).all()
    assert group_state.running is group_state  # the one that was revived needs the whole program


def test_a_program_is_made_anew_when_half_of_what_it_holds_was_stopped():
    stops = [Decision(stop_members=m).to_dict(k) for k, m in enumerate([(0,), (1, 2), (5,), (3, 4), (6, 7)])]
    held = [training_members(stops[:k], range(8)) for k in range(6)]
    assert held == [list(range(8))] * 3 + [[3, 4, 6, 7], [6, 7], [6, 7]]
    revived = [*stops, Decision(copy={0: 7}).to_dict(9)]
    assert training_members(revived, range(8)) == [0]


def test_a_member_that_diverged_is_not_stopped_as_well():
    population = sweep(Quadratic(), {"fuse": [1e9, 5.0]}, seeds=2)
    engine = Engine(population, "vmap", controller=Planned(at=2, what="stop one"))
    engine.train(STEPS, window=7, evaluate_every=EVERY)
    assert engine.diverged_at().tolist() == [-1, -1, 5, 5]
    assert engine.control.stopped_at() == {}


def test_a_stopped_member_has_no_metrics_any_more():
    heard: list[tuple[int, np.ndarray]] = []

    class Ear(Callback):
        def on_window(self, window: Any) -> None:
            heard.append((window.step, np.isfinite(window.metrics["loss"])))

    engine = engine_of("stop one")
    engine.callbacks = [Ear()]
    ended(engine)
    assert {step: row.tolist() for step, row in heard} == {
        step: [True, True, step <= 20, True] for step in (7, 10, 14, 20, 21, 28, 30, 35, 40)
    }


def test_a_run_that_the_controller_ends_is_complete():
    engine = engine_of("stop")
    assert engine.train(STEPS, window=7, evaluate_every=EVERY)
    assert (engine.step, engine.control.stop) == (20, "enough")
    assert engine.train(STEPS, window=7, evaluate_every=EVERY)
    assert engine.step == 20


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("nobody", "the controller names member 4; there are members 0 to 3"),
        ("shared", "the controller changes 'limit', which is no argument of the compiled program"),
        ("unknown", "unknown setting 'learning_rat'.*learning_rate"),
        ("outside", "learning_rate must be > 0, got -1.0"),
    ],
)
def test_a_decision_that_cannot_be_is_refused(what, line):
    with pytest.raises(UsageError, match=line):
        engine_of(what, at=1).train(EVERY, window=EVERY, evaluate_every=EVERY)


def test_lineage_is_followed_back_through_copies():
    decisions = [{"step": 10, "copy": [[1, 2]]}, {"step": 20, "copy": [[0, 1], [2, 0]]}, {"step": 30}]
    assert lineage(decisions, 0) == [{"step": 20, "source": 1}, {"step": 10, "source": 2}]
    assert lineage(decisions, 2) == [{"step": 20, "source": 0}]
    assert lineage(decisions, 3) == []


def test_a_copy_revives_a_member_that_was_stopped():
    control = Control(None, [Decision(stop_members=(1, 2)).to_dict(5), Decision(copy={1: 0}).to_dict(9)])
    assert control.stopped_at() == {2: 5}


def test_decisions_survive_json():
    decision = DECISIONS["all of it"]
    assert decision is not None
    assert Decision.from_dict(decision.to_dict(3)) == decision


def test_a_resumed_run_ends_as_the_undisturbed_one(tmp_path):
    chosen = options({"steps": STEPS, "strategy": "vmap", "log_every": 5, "evaluate_every": EVERY})
    recipe = of_population("planned", POPULATION, chosen, controller=Planned(at=2, what="all of it"))
    whole = run_recipe(recipe, tmp_path / "whole")
    for step in (15, 25):
        reached, folder = Reached(step), tmp_path / f"cut-{step}"
        with pytest.raises(Stopped):
            run_recipe(recipe, folder, callbacks=[reached], stop=reached.is_over)
        resumed = Run.load(folder).resume()
        for kind in ("train", "evaluation"):
            # As text: NaN equals NaN there.
            assert str(resumed.metrics(kind).to_pylist()) == str(whole.metrics(kind).to_pylist())
        for key in ("members", "decisions", "settings"):
            assert resumed.results()[key] == whole.results()[key]
        for index in range(4):
            for a, b in zip(*(jax.tree.leaves(run.member(index).model) for run in (whole, resumed))):
                np.testing.assert_array_equal(a, b)
    found = Run.load(tmp_path / "whole")
    members = found.results()["members"]
    assert [m["stopped_at"] for m in members] == [None, 20, 20, None]
    assert [m["lineage"] for m in members] == [[], [], [], [{"step": 20, "source": 0}]]
    assert np.isfinite(members[2]["test"]["score"])
    assert float(found.member(3).learner.learning_rate) == np.float32(0.05)


def test_a_callback_ends_a_run_that_can_be_resumed(tmp_path):
    class Enough(Callback):
        ends: list[int] = []  # noqa: RUF012

        def on_evaluation(self, evaluation: Any) -> None:
            self.stop_training = evaluation.step >= 20

        def on_end(self, step: int) -> None:
            self.ends.append(step)

    more = {"strategy": "vmap", "log_every": 5, "evaluate_every": EVERY}
    enough = Enough()
    run = train(POPULATION, STEPS, out=tmp_path / "run", callbacks=[enough], **more)
    assert (run.finished, run.results()["status"], run.results()["steps"]) == (False, "stopped", 20)
    assert enough.ends == [20]
    run = Run.load(tmp_path / "run").resume()
    assert (run.finished, run.results()["steps"]) == (True, STEPS)


def test_a_history_follows_states_and_settings_through_copies_made_all_at_once():
    began = [{"rate": 1.0}, {"rate": 2.0}, {"rate": 3.0}]
    decisions = [
        {"step": 10, "copy": [[0, 1], [1, 0]], "settings": [[0, {"rate": 2.5}]]},  # two change places
        {"step": 20, "copy": [[2, 0]]},
        {"step": 30, "copy": [[2, 1]]},
    ]
    found = history(decisions, began, 2, 30)
    assert [(s.step, s.member, s.settings["rate"]) for s in found] == [
        (0, 1, 2.0),
        (10, 0, 2.5),
        (20, 2, 3.0),
    ]
    later = history(decisions, began, 2, 31)
    assert [(s.step, s.member, s.settings["rate"]) for s in later] == [
        (0, 0, 1.0),
        (10, 1, 2.0),
        (30, 2, 3.0),
    ]
    assert [s.member for s in history(decisions, began, 0, 10)] == [0], "what was evaluated at 10 came before"
