"""Feeding: examples in files train members to the bits that examples in memory do, in little memory."""

import os
from functools import partial
from typing import Any

import jax
import numpy as np
import pytest

from populace.core.errors import RunError, UsageError
from populace.core.population import Population, sweep
from populace.engine.callbacks import Callback
from populace.engine.training_loop import Engine
from populace.runs.recipe.options import Options
from populace.runs.recipe.recipe import of_population
from populace.runs.run import Run
from populace.runs.training.launch import run_recipe
from populace.supervised import MLP, SGD, Classifier, Data, Patience, Regressor
from tests import harness, programs, quick
from tests.conftest import arrays, checkpoint_steps
from tests.supervised.problems import blobs, line

STEPS = 31
MEMORY = 6 * 4 * 2 * 32 * 8
"""Chunks of 4 steps for a member on each of 2 devices: batches of 32 rows of 8 bytes."""
AXES = {"learning_rate": [1e-2, 0.5]}


@pytest.fixture(scope="module", autouse=True)
def _as_shipped():
    """Bits of two programs are compared here: one reads examples in memory, the other those that are fed."""
    with quick.as_shipped():
        yield


class Ear(Callback):
    """Keeps everything that is told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, Any, Any]] = []

    def on_window(self, window) -> None:
        self.told.append((window.step, window.metrics, window.diverged_at))

    def on_evaluation(self, evaluation) -> None:
        self.told.append((evaluation.step, evaluation.metrics, evaluation.diverged_at))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """What `examples` needs: a folder with the blobs and the line in files."""
    folder = tmp_path_factory.mktemp("files")
    for name, x in {"blobs": blobs()[0], "test": blobs(seed=1)[0], "line": line()[0]}.items():
        np.save(folder / f"{name}.npy", x)
    return folder


def classifier(files=None, memory=None, **settings) -> Classifier:
    """Return a classifier of the blobs, 192 rows in 6 batches an epoch; from files where there are some."""
    (x, y), (test_x, test_y) = blobs(), blobs(seed=1)
    if files is not None:
        x, test_x = files / "blobs.npy", files / "test.npy"
    data = Data.from_classes(x, y, test=(test_x, test_y), validation=0.2, memory=memory)
    options: dict = {"network": MLP(hidden_sizes=(8,)), "batch_size": 32, "evaluation_batch_size": 10}
    return Classifier(data, **options | settings)


def regressor(files=None, memory=None, **settings) -> Regressor:
    """Return a regressor of the line, 180 rows in 3 batches an epoch, that evaluates 20 rows all at once."""
    x, y = line()
    data = Data.from_targets(x if files is None else files / "line.npy", y, memory=memory)
    options: dict = {"network": MLP(hidden_sizes=(8,)), "batch_size": 70, "evaluation_batch_size": 20}
    return Regressor(data, **options | settings)


def outcome(population: Population, strategy: str = "vmap", **options: Any) -> tuple[Any, ...]:
    """Train; return all states, everything that was told, the final evaluation, and the engine."""
    engine, ear = Engine(population, strategy), Ear()
    engine.callbacks.append(ear)
    harness.train(engine, options.pop("steps", STEPS), **{"window": 7, "evaluate_every": 10} | options)
    tested = [g.program.test(g.best.model, 1, 0) for g in engine.group_states]
    return harness.states(engine), ear.told, jax.tree.map(np.asarray, tested), engine


def assert_same(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    """Assert that two outcomes are the same bit for bit."""
    for a, b in zip(one[:3], other[:3]):
        paths = (jax.tree_util.tree_leaves_with_path(tree) for tree in (a, b))
        for (path, left), (_, right) in zip(*paths, strict=True):
            assert np.asarray(left).tobytes() == np.asarray(right).tobytes(), jax.tree_util.keystr(path)


def feedings(engine: Engine) -> list[Any]:
    return [g.program._feeding for g in engine.group_states]


@pytest.mark.parametrize(("strategy", "steps"), [("vmap", 1), ("vmap", 3), ("map", 1)])
def test_the_same_bits_as_from_memory(files, strategy, steps):
    """Weights, metrics of every window and evaluation, early stopping, and the final evaluation."""
    memory = 6 * steps * 2 * (2 * 32 * 8)  # chunks of so many steps: 2 devices, 2 seeds, 32 rows of 8 bytes
    settings = {
        "network": MLP(hidden_sizes=(8,), norm="batch", dropout=0.1),
        "early_stopping": Patience(epochs=1),
    }
    population = sweep(classifier(files, memory, **settings), AXES, seeds=[0, 3])
    streamed = outcome(population, strategy)
    assert_same(outcome(sweep(classifier(**settings), AXES, seeds=[0, 3]), strategy), streamed)
    stopped = [g.state().early_stopping.stopped_at for g in streamed[3].group_states]
    assert np.max(stopped) > 0
    (feeding,) = feedings(streamed[3])
    assert feeding.steps == steps
    assert 0 < feeding.peak <= memory
    assert feeding.held == 0


def test_numbers_are_predicted_as_from_memory(files):
    one = outcome(sweep(regressor(), AXES, seeds=2), "map", steps=10)
    assert_same(one, outcome(sweep(regressor(files, 6 * 2 * 2 * 70 * 8), AXES, seeds=2), "map", steps=10))


def test_a_member_that_diverges_between_chunks_spoils_nothing(files):
    settings = {"optimizer": SGD(), "network": MLP(hidden_sizes=())}
    axes = {"learning_rate": [1e-2, 50.0, 1e4]}
    make = partial(outcome, window=20)
    one = make(sweep(regressor(**settings), axes, seeds=2))
    assert len({int(s) for s in one[3].diverged_at()}) > 2
    assert_same(one, make(sweep(regressor(files, 6 * 2 * 2 * 70 * 8, **settings), axes, seeds=2)))


def test_groups_share_the_memory(files):
    memory = 2 * 6 * 2 * 64 * 8
    engine = outcome(sweep(classifier(files, memory), {"batch_size": [32, 64]}, seeds=2), steps=6)[3]
    assert len(feedings(engine)) == 2
    assert sum(feeding.peak for feeding in feedings(engine)) <= memory
    assert [feeding.steps for feeding in feedings(engine)] == [2, 1]


def test_rows_are_those_in_the_states(files):
    """What is in a member's state in the middle of an epoch is what its steps read, wherever it came from."""
    found = []
    for learner in (classifier(), classifier(files, 6 * 2 * 4 * 32 * 8)):
        engine = harness.trained(sweep(learner, {"learning_rate": [1e-2, 2e-2, 3e-2, 4e-2]}), 8)
        (group_state,) = engine.group_states
        state = group_state.carry.state
        order = np.stack([np.roll(o, 7 * i) for i, o in enumerate(np.asarray(state.order))])
        order = jax.device_put(order, group_state.program.placement.by_member)
        group_state.carry = group_state.carry._replace(state=_with_order(state, order))
        group_state.replace(3, group_state.entry(1), 8)  # as a controller copies a member
        harness.train(engine, 15)
        found.append(harness.states(engine))
    for member in found[0]:
        harness.assert_identical(found[0][member], found[1][member])


def _with_order(state: Any, order: jax.Array) -> Any:
    leaves, tree = jax.tree.flatten(state)
    return tree.unflatten([order if leaf is state.order else leaf for leaf in leaves])


class Killed(Exception):  # noqa: N818  it is no error of anything
    """The process is gone."""


class Killer(Callback):
    """Raises once a step has come, as a kill would end the process: nothing is saved."""

    def __init__(self, at: int) -> None:
        self.at = at

    def on_window(self, window) -> None:
        if window.step >= self.at:
            raise Killed


class Stop(Callback):
    def on_window(self, window) -> None:
        self.stop_training = window.step >= 13


def test_resume_is_exact_to_the_batch(files, tmp_path):
    """Stopped at step 13, killed at 20, both in an epoch of 6 and off the chunks of 4, and resumed."""
    options = Options(steps=STEPS, strategy="vmap", seeds=[0, 3], log_every=1, evaluate_every=10)
    learners = classifier(), classifier(files, MEMORY)
    in_memory, streamed = (sweep(learner, seeds=[0, 3]) for learner in learners)
    run_recipe(of_population("stream", in_memory, options), tmp_path / "whole")
    cut = tmp_path / "cut"
    run_recipe(of_population("stream", streamed, options), cut, callbacks=[Stop()])
    assert 13 <= checkpoint_steps(cut)[-1] < 20
    with pytest.raises(Killed):
        Run.load(cut, streamed.learner).resume(callbacks=[Killer(20)])
    run = Run.load(cut, streamed.learner).resume()
    assert run.finished
    assert arrays(cut) == arrays(tmp_path / "whole")
    whole = Run.load(tmp_path / "whole", streamed.learner)  # the same data, in files
    for kind in ("train", "evaluation"):
        assert run.metrics(kind).equals(whole.metrics(kind))
    assert run.results()["members"] == whole.results()["members"]
    x = blobs(seed=5)[0]
    assert run.best().predict(x).tolist() == whole.best().predict(x).tolist()
    for name in ("blobs", "test"):
        np.save(tmp_path / f"{name}.npy", np.load(files / f"{name}.npy") + (name == "test"))
    with pytest.raises(UsageError, match="data are not those that") as caught:
        Run.load(cut, classifier(tmp_path, MEMORY))
    assert "\n" not in str(caught.value)


def test_ten_times_the_memory(tmp_path):
    """512,000 bytes of examples train with at most 51,200 held at once."""
    rng = np.random.default_rng(0)
    y = np.arange(2000) % 2
    x = rng.normal(size=(2000, 64)).astype(np.float32) + y[:, None]
    np.save(tmp_path / "x.npy", x)
    data = Data.from_classes(tmp_path / "x.npy", y, memory=x.nbytes // 10)
    options: dict = {"batch_size": 8, "evaluation_batch_size": 8, "learning_rate": 1e-2}
    learner = Classifier(data, network=MLP(hidden_sizes=()), **options)
    states, told, _, engine = outcome(sweep(learner, seeds=2), steps=80, window=40, evaluate_every=80)
    (feeding,) = feedings(engine)
    assert feeding.steps < learner.epoch_steps
    assert x.nbytes // 20 < feeding.peak <= x.nbytes // 10
    (accuracy,) = (metrics["accuracy"] for _, metrics, _ in told if "calibration_error" in metrics)
    assert len(states) == 2
    assert (accuracy > 0.95).all()


def test_members_of_one_seed_are_fed_once(files):
    engine = Engine(sweep(classifier(files), {"learning_rate": [1e-2, 2e-2, 3e-2, 4e-2]}), "vmap", 1)
    (feeding,) = feedings(engine)
    assert feeding.capacity == feeding.steps * 32
    engine = Engine(sweep(classifier(files), seeds=4), "vmap", 1)
    (feeding,) = feedings(engine)
    assert feeding.capacity == 240  # four orders of 192 rows: all the file has


def test_equal_files_share_compiled_programs(files):
    first = outcome(sweep(classifier(files, MEMORY), seeds=2))
    before = programs.compiled()
    again = outcome(sweep(classifier(files, MEMORY), seeds=2))
    assert programs.compiled() == before
    assert_same(first, again)


@pytest.mark.parametrize(("settings", "message"), [
    ({"memory": 6 * 2 * 32 * 8 - 1},
     "memory of 3,071 bytes is too small for 2 batches of 32 examples a step; .* at least 3,072, or the"),
    ({"memory": 4000, "evaluation_batch_size": 40},
     "memory of 4,000 bytes is too small for evaluating 2 batches of 40 examples at a time"),
    ({"memory": 6000, "axes": {"network.hidden_sizes": [(4,), (8,)]}},
     "memory of 6,000 bytes, shared by 2 groups, is too small for .* at least 6,144"),
])  # fmt: skip
def test_too_little_memory_is_refused_in_a_line(files, settings, message):
    axes = settings.pop("axes", None)
    population = sweep(classifier(files, **settings), axes, seeds=2)
    with pytest.raises(UsageError, match=message) as caught:
        Engine(population, "vmap")
    assert "\n" not in str(caught.value)


def test_a_file_that_changes_under_way_ends_the_run_in_a_line(files):
    engine, file = Engine(sweep(classifier(files, MEMORY), seeds=2), "vmap"), files / "blobs.npy"
    harness.train(engine, 2, evaluate_every=0)
    before = file.stat()
    os.utime(file, ns=(0, 0))
    with pytest.raises(RunError, match=r"blobs.npy' was changed or removed while it was in use") as caught:
        harness.train(engine, 20)
    assert "\n" not in str(caught.value)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_step_by_hand_has_no_batch(files):
    learner = classifier(files)

    def step(key):
        return learner.step(learner.init(key), key)

    with pytest.raises(UsageError, match=r"the examples of the Classifier are in files, which only"):
        jax.eval_shape(step, jax.random.key(0))
