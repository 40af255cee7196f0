"""What a supervised task says of its batches, and where its examples are read from."""

import jax
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.data.example_files import ExampleFiles
from populace.supervised import Classifier, Data, Regressor
from tests.supervised.problems import classifier, line


def test_a_task_without_data_says_where_to_get_some():
    with pytest.raises(UsageError, match="Regressor has no data; make it in Python"):
        Regressor()._data  # noqa: B018
    assert Classifier().feed is None


def test_a_batch_is_standardized_by_the_training_part_alone():
    learner = classifier()
    x, _, rows = learner._data.part("train")
    found = learner.training_inputs(np.asarray(x)[rows], rows, jax.random.key(0))
    np.testing.assert_allclose(np.mean(found, 0), 0, atol=1e-5)
    np.testing.assert_allclose(np.std(found, 0), 1, rtol=1e-5)
    other, _, rows = learner._data.part("test")
    assert abs(np.mean(learner._data.inputs(np.asarray(other)[rows]), 0)).max() > 1e-3
    weight = np.array([1.0, 0.0])
    assert learner.loss_weights(np.zeros(2), weight) is weight


def test_examples_in_files_are_fed_and_those_in_memory_are_not(tmp_path):
    x, y = line()
    np.save(tmp_path / "x.npy", x.astype(np.float32))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    fed = Regressor(Data.from_targets(mapped, y, validation=0.2, memory=100))
    held = Regressor(Data.from_targets(x, y, validation=0.2))
    assert held.feed is None
    assert isinstance(fed.feed, ExampleFiles)
    files, rows = fed.for_validation().evaluated_part()
    np.testing.assert_array_equal(rows, held._data.part("validation")[2])
    assert files.shape[1:] == (2,)
    assert fed.for_validation().evaluation_split == "validation"
