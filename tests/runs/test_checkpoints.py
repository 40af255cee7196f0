"""Checkpoints: what is saved comes back bit for bit, the last few stay, nothing else is taken for one."""

import json
import shutil

import jax
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.engine.training_loop import Engine
from populace.runs.checkpoints import Checkpoints
from populace.runs.integrity import sealed
from tests import harness
from tests.learners import Quadratic

INFO = {"training_seconds": 1.5, "wall_s": 2.5, "resumed": 0}


def engine(**settings) -> Engine:
    # The third member diverges: what was set aside is saved, not what its slot goes on with.
    axes = {"learning_rate": [0.1, 0.03], "fuse": [1e9, 15]}
    return Engine(sweep(Quadratic(**settings), axes, seeds=[0]), "vmap")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with checkpoints of the steps 10, 20 and 30, two of which are kept, and the states at each."""
    store = Checkpoints(tmp_path_factory.mktemp("run") / "checkpoints", keep=2)
    trained, at = engine(), {}
    for step in (10, 20, 30):
        harness.train(trained, step)
        store.save(trained, INFO)
        at[step] = harness.states(trained)
    store.close()
    return store.folder, at


def assert_is(found: Engine, states) -> None:
    for member, expected in states.items():
        harness.assert_identical(harness.states(found)[member], expected)


def test_the_newest_comes_back_bit_for_bit_and_training_goes_on_the_same(saved):
    folder, at = saved
    store, found, lines = Checkpoints(folder), engine(), []
    assert store.steps() == [20, 30]
    info = store.restore(found, lines.append)
    store.close()
    assert info is not None
    assert (found.step, found.training_seconds, lines) == (30, 1.5, [])
    assert {key: info[key] for key in INFO} == INFO
    assert_is(found, at[30])
    assert found.diverged_at().tolist() == [-1, 15, -1, 15]
    whole = engine()
    harness.train(whole, 40)
    harness.train(found, 40)
    ends = harness.states(whole)
    for state, carried in zip(found.group_states, whole.group_states):
        for a, b in zip(jax.tree.leaves(state.carry.step), jax.tree.leaves(carried.carry.step)):
            np.testing.assert_array_equal(a, b)
    for member in (0, 2):
        harness.assert_identical(harness.states(found)[member][:4], ends[member][:4])


def test_what_another_layout_wrote_is_passed_over(saved, tmp_path):
    folder, at = saved
    copy = shutil.copytree(folder, tmp_path / "checkpoints")
    note = copy / "30" / "info.json"
    note.write_text(sealed.seal(json.dumps(sealed.opened(note.read_text()) | {"layout": 99}, indent=1)))
    store, found, lines = Checkpoints(copy), engine(), []
    assert store.restore(found, lines.append) is not None
    store.drop_after(20)
    store.close()
    assert found.step == 20
    assert lines == ["checkpoint 30 is damaged (layout 99, this version reads 2); trying the one before"]
    assert_is(found, at[20])
    assert Checkpoints(copy).steps() == [20]


def test_the_states_of_another_learner_are_refused(saved):
    store = Checkpoints(saved[0])
    with pytest.raises(
        UsageError, match=r"checkpoint 30 of .* does not fit the learner .*expected float32\(4, 4"
    ):
        store.restore(engine(width=4), print)
    store.close()


def test_an_empty_folder_has_nothing_to_restore(tmp_path):
    store = Checkpoints(tmp_path / "checkpoints")
    assert (store.steps(), store.has(10)) == ([], False)
    assert store.restore(engine(), print) is None
