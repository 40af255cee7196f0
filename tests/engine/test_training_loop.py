"""The engine's invariants, on learners with known answers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.core.mean import Mean
from populace.core.population import sweep
from populace.core.random import root_key
from populace.engine import group_state as group_states
from populace.engine.callbacks import Callback, Evaluation, Window
from populace.engine.programs.compiled import EPOCH_START, EVALUATION, INIT, TEST
from populace.engine.training_loop import Engine
from tests import harness
from tests.learners import Draws, Quadratic, Shifty, Table


class Ear(Callback):
    """Remembers what it heard."""

    def __init__(self) -> None:
        self.windows: list[Window] = []
        self.evaluations: list[Evaluation] = []

    def on_start(self, population, step):
        self.began = step

    def on_window(self, window):
        self.windows.append(window)

    def on_evaluation(self, evaluation):
        self.evaluations.append(evaluation)


def test_a_learner_keeps_every_invariant(tmp_path):
    harness.check_learner(Quadratic(), {"learning_rate": [0.1, 0.01]}, 40, tmp_path)


def test_groups_of_other_structure_keep_them_too(tmp_path):
    axes = {"learning_rate": [0.1, 0.01], "width": [2, 5]}
    harness.check_learner(Quadratic(), axes, 20, tmp_path)


def test_a_member_is_alone_on_one_device_too(tmp_path):
    population = sweep(Quadratic(), {"learning_rate": [0.1, 0.01]}, seeds=[0, 3])
    batched = harness.states(harness.trained(population, 40))
    harness.check_members_are_alone(population, 40, batched, devices=1)


def test_training_reaches_the_known_answer():
    engine = harness.trained(sweep(Quadratic(learning_rate=0.05), seeds=5), 600)
    for group_state in engine.group_states:
        np.testing.assert_allclose(np.asarray(group_state.carry.state["weights"]), 1.0, atol=0.05)


@pytest.mark.parametrize("strategy", ["vmap", "map", "2", "auto"])
def test_every_strategy_gives_the_same_up_to_rounding(strategy):
    population = sweep(Quadratic(), {"learning_rate": [0.1, 0.01, 0.001]}, seeds=2)
    reference = harness.states(harness.trained(population, 30, "map"))
    other = harness.states(harness.trained(population, 30, strategy))
    for index, leaves in reference.items():
        for a, b in zip(leaves, other[index]):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("window", [1, 5, 100])
@pytest.mark.parametrize("strategy", ["vmap", "map", "2"])
def test_a_diverged_member_is_frozen_and_flagged_and_spoils_nothing(strategy, window):
    rates = [0.1, 100.0, 0.01]
    population = sweep(Quadratic(), {"learning_rate": rates}, seeds=2)
    ear, engine = Ear(), Engine(population, strategy)
    engine.callbacks.append(ear)
    engine.train(100, window=window, evaluate_every=50)
    flagged = engine.diverged_at()
    bad = [m.index for m in population.members if m.setting == 1]
    assert (np.flatnonzero(flagged >= 0) == bad).all()
    found = harness.states(engine)
    healthy = sweep(Quadratic(), {"learning_rate": [0.1, 0.01]}, seeds=2)
    alone = harness.states(harness.trained(healthy, 100, strategy, evaluate_every=50))
    good = [m.index for m in population.members if m.setting != 1]
    for index, (a, b) in enumerate(zip(good, range(4))):
        del index
        for x, y in zip(found[a], alone[b]):
            np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)
    for index in bad:
        step = int(flagged[index])
        group_state, slot = engine.find(index)
        state = jax.tree.map(lambda x, s=slot: x[s], group_state.state())
        # Frozen at the very step that is flagged: not one update more, however long the window.
        assert float(state["large"][0]) == step
        assert not np.isfinite(np.asarray(state["weights"])).all()
        until = harness.trained(sweep(Quadratic(), {"learning_rate": [100.0]}, seeds=2), step - 1)
        before = until.group_states[0].carry.state["weights"][population.members[index].seed]
        assert np.isfinite(np.asarray(before)).all()
    last = ear.windows[-1]
    assert np.isfinite(last.metrics["loss"][good]).all()
    assert np.isnan(last.metrics["loss"][bad]).all()
    assert np.isnan(ear.evaluations[-1].metrics["loss"][bad]).all()


def test_many_that_diverge_at_once_are_frozen_as_if_one_by_one(monkeypatch):
    population = sweep(Quadratic(), {"fuse": [5.0, 1e9]}, seeds=3)
    single = harness.states(harness.trained(population, 12, window=4, evaluate_every=6))
    monkeypatch.setattr(group_states, "_MANY", 0)
    many = harness.trained(population, 12, window=4, evaluate_every=6)
    assert many.diverged_at().tolist() == [5, 5, 5, -1, -1, -1]
    for index, leaves in harness.states(many).items():
        for a, b in zip(leaves, single[index], strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("strategy", ["vmap", "map", "2"])
@pytest.mark.parametrize("window", [1, 9, 20, 60])
def test_each_member_is_flagged_at_its_own_step(strategy, window):
    # 20 and 60 end windows, 1 is the first step, 21 follows an evaluation.
    fuses = [1.0, 20.0, 1e9, 21.0, 33.0, 60.0]
    population = sweep(Quadratic(), {"fuse": fuses}, seeds=2)
    engine = harness.trained(population, 60, strategy, window=window, evaluate_every=20)
    expected = np.repeat([1, 20, -1, 21, 33, 60], 2)
    assert (engine.diverged_at() == expected).all()
    for member in population.members:
        group_state, slot = engine.find(member.index)
        steps_taken = float(group_state.state()["large"][slot, 0])
        assert steps_taken == (60 if expected[member.index] < 0 else expected[member.index])


@pytest.mark.parametrize("strategy", ["vmap", "map", "2"])
def test_a_halt_loses_no_window_of_metrics(strategy):
    # A window is dispatched before the host has seen that the one before it halted. Where the engine
    # pauses after each, it never is: the same numbers, bit for bit, must come of both. Whoever diverges at 17
    # has done so before the window that ends at 15 is told.
    population = sweep(Quadratic(), {"fuse": [1e9, 13.0, 14.0, 17.0, 33.0]}, seeds=2)
    ears = []
    for pausing in (False, True):
        engine, ear = Engine(population, strategy), Ear()
        engine.callbacks.append(ear)
        engine.train(50, window=5, evaluate_every=0, wants_pause=lambda pausing=pausing: pausing)
        ears.append(ear)
    ends = [w.step for w in ears[0].windows]
    assert ends == [w.step for w in ears[1].windows] == list(range(5, 51, 5))
    for ahead, settled in zip(ears[0].windows, ears[1].windows):
        np.testing.assert_array_equal(ahead.metrics["loss"], settled.metrics["loss"])
        np.testing.assert_array_equal(ahead.diverged_at, settled.diverged_at)
        assert np.isfinite(ahead.metrics["loss"][:2]).all()


def test_the_last_step_is_evaluated_unless_nobody_wants_that():
    engine, ear = Engine(sweep(Quadratic(), seeds=2), "vmap"), Ear()
    engine.callbacks.append(ear)
    engine.train(7, window=3, evaluate_every=3, evaluate_last=False)
    assert ([w.step for w in ear.windows], [e.step for e in ear.evaluations]) == ([3, 6, 7], [3, 6])
    engine.train(8, window=3, evaluate_every=0)
    assert ([w.step for w in ear.windows], [e.step for e in ear.evaluations]) == ([3, 6, 7, 8], [3, 6, 8])


@pytest.fixture(scope="module")
def drawn() -> tuple[Engine, Ear]:
    """Seven steps of a learner that tells what it draws, looked at one by one."""
    engine, ear = Engine(sweep(Draws(), seeds=[0, 3], seed=5), "vmap"), Ear()
    engine.callbacks.append(ear)
    engine.train(7, window=1, evaluate_every=3)
    return engine, ear


def test_every_key_is_of_its_member_its_purpose_and_its_step(drawn):
    engine, ear = drawn

    def draws(*path: int) -> list[float]:
        found = []
        for seed in (0, 3):
            key = jax.random.fold_in(root_key(5), seed)
            for number in path:
                key = jax.random.fold_in(key, number)
            found.append(float(jax.random.uniform(key)))
        return found

    np.testing.assert_array_equal(np.asarray(engine.group_states[0].carry.state["init"])[:2], draws(INIT))
    for t, window in enumerate(ear.windows):
        np.testing.assert_array_equal(window.metrics["step"], draws(t))
        np.testing.assert_array_equal(window.metrics["turn"], draws(EPOCH_START, t - t % 2))
    assert [e.step for e in ear.evaluations] == [3, 6, 7]
    for evaluation in ear.evaluations:
        np.testing.assert_array_equal(evaluation.metrics["drawn"], draws(EVALUATION, evaluation.step))
    test_description = engine.group_states[0].program.test(engine.group_states[0].best.model, 1, 11)
    np.testing.assert_array_equal(np.asarray(test_description["drawn"].value)[:2], draws(TEST, 11))


def test_of_models_that_score_alike_the_first_is_kept(drawn):
    engine, _ = drawn
    assert np.asarray(engine.group_states[0].best.step)[:2].tolist() == [3, 3]


def test_windows_end_at_multiples_whatever_lies_between():
    engine, ear = Engine(sweep(Draws()), "map"), Ear()
    engine.callbacks.append(ear)
    engine.train(7, window=3, evaluate_every=2)
    assert [w.step for w in ear.windows] == [2, 3, 4, 6, 7]
    assert [e.step for e in ear.evaluations] == [2, 4, 6, 7]


def test_metrics_of_windows_add_up():
    population, ears = sweep(Quadratic(), seeds=3), []
    for window in (5, 20):
        engine, ear = Engine(population, "vmap"), Ear()
        engine.callbacks.append(ear)
        engine.train(20, window=window, evaluate_every=0)
        ears.append(ear)
    fine = np.mean([w.metrics["loss"] for w in ears[0].windows], axis=0)
    np.testing.assert_allclose(fine, ears[1].windows[0].metrics["loss"], rtol=1e-5)
    assert [w.step for w in ears[0].windows] == [5, 10, 15, 20]
    assert [e.step for e in ears[0].evaluations] == [20]


def test_metrics_of_a_member_end_where_it_diverged():
    heard = []
    for fuse, window in ((7.0, 5), (1e9, 1)):
        engine, ear = Engine(sweep(Quadratic(fuse=fuse)), "map"), Ear()
        engine.callbacks.append(ear)
        engine.train(15, window=window, evaluate_every=0)
        heard.append([float(w.metrics["loss"][0]) for w in ear.windows])
    broken, whole = heard
    assert broken[:2] == [pytest.approx(np.mean(whole[:5]), rel=1e-5), pytest.approx(whole[5], rel=1e-5)]
    assert np.isnan(broken[2])


def test_the_last_model_is_kept_where_that_is_asked_for():
    population = sweep(Quadratic(), {"learning_rate": [0.1, 3.0]}, seeds=2)
    best, last = (Engine(population, "vmap", checkpoint_selection=which) for which in ("best", "last"))
    for engine in (best, last):
        engine.train(40, window=10, evaluate_every=10)
    kept = last.group_states[0].best
    assert (np.asarray(kept.step)[:4] == 40).all()
    np.testing.assert_array_equal(kept.model["weights"], last.group_states[0].state()["weights"])
    # A step size of 3 jumps about, so that for some member the best is another.
    assert (np.asarray(best.group_states[0].best.step)[:4] < 40).any()


def test_the_best_model_is_the_one_with_the_best_evaluation():
    population, ear = sweep(Quadratic(learning_rate=0.3), seeds=4), Ear()
    engine = Engine(population, "vmap")
    engine.callbacks.append(ear)
    engine.train(50, window=10, evaluate_every=5)
    course = np.stack([e.metrics["loss"] for e in ear.evaluations])
    best = engine.group_states[0].best
    np.testing.assert_allclose(-np.asarray(best.score)[:4], course.min(axis=0), rtol=1e-6)
    steps = np.asarray([e.step for e in ear.evaluations])
    assert (np.asarray(best.step)[:4] == steps[course.argmin(axis=0)]).all()
    again = jnp.mean((best.model["weights"] - 1) ** 2, axis=-1)
    np.testing.assert_allclose(np.asarray(again)[:4], course.min(axis=0), rtol=1e-6)


def test_shared_data_is_not_copied_per_member():
    data = jnp.arange(12.0).reshape(4, 3)
    population = sweep(Table(data=data), {"rate": [0.1, 0.2]}, seeds=2)
    group = population.groups[0]
    assert group.learner.data.shape == (4, 3)
    assert group.learner.rate.shape == (4,)
    harness.trained(population, 5)


def test_only_what_differs_has_a_member_axis():
    group = sweep(Quadratic(), {"learning_rate": [0.1, 0.2]}).groups[0]
    assert group.learner.learning_rate.shape == (2,)
    assert group.learner.limit.shape == ()


def test_a_state_that_changes_shape_is_named():
    with pytest.raises(UsageError, match=r"Shifty.step: state\['weights'\] must stay float32\[3\]"):
        Engine(sweep(Shifty()), "vmap")


def test_members_of_uneven_number_fill_the_devices():
    population = sweep(Quadratic(), seeds=5)
    found = harness.states(harness.trained(population, 10, "2"))
    assert len(found) == 5
    for member in population.members:
        alone = harness.states(harness.trained(population.only(member), 10, "map"))[0]
        for a, b in zip(found[member.index], alone):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


class Unscored(Quadratic):
    """Has no validation data: its score is never measured."""

    def evaluate(self, state, key):
        return {"loss": Mean(0.0, 0.0)}


@pytest.mark.parametrize("selection", ["best", "last"])
def test_without_a_score_the_latest_model_is_kept_and_that_of_the_start_of_members_that_diverged(selection):
    population = sweep(Unscored(), {"fuse": [1e9, 5.0]}, seeds=1)
    engine = Engine(population, "vmap", checkpoint_selection=selection)
    starts = np.asarray(engine.group_states[0].carry.state["weights"])
    engine.train(20, window=4, evaluate_every=10)
    group_state = engine.group_states[0]
    kept = np.asarray(group_state.best.model["weights"])
    np.testing.assert_array_equal(kept[0], np.asarray(group_state.carry.state["weights"])[0])
    np.testing.assert_array_equal(kept[1], starts[1])
    assert np.asarray(group_state.best.step).tolist()[:2] == [20, 0]
