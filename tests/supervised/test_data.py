"""Data: how they are split and standardized, what float32 keeps of them, and what is refused."""

import dataclasses
import warnings

import equinox as eqx
import jax
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.supervised import Classifier, Data
from tests.supervised.problems import begun, blobs, line, regressor


def test_the_split_is_drawn_class_by_class_and_rows_do_not_meet():
    x, y = blobs(100, classes=4)
    data = Data.from_classes(x, y, validation=0.2)
    assert not set(data.train.tolist()) & set(data.validation.tolist())
    assert len(data.train) + len(data.validation) == 100
    assert np.bincount(y[data.validation]).tolist() == [5, 5, 5, 5]
    inputs = np.asarray(data.inputs(data.x[data.train]))
    np.testing.assert_allclose(inputs.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(inputs.std(0), 1, atol=1e-5)


@pytest.mark.filterwarnings("error")
def test_values_far_from_zero_are_centered_before_float32():
    """The same data moved far away has the same inputs, targets and predictions, moved as far."""
    x, y = line()
    offset = np.array([1.7e9, 0])
    moved_x, moved_y = x + offset, y + 1e9
    near = Data.from_targets(x, y, test=line(seed=1), validation=0.2)
    test_x, test_y = line(seed=1)
    far = Data.from_targets(moved_x, moved_y, test=(test_x + offset, test_y + 1e9), validation=0.2)
    np.testing.assert_allclose(far.inputs(far.x), near.inputs(near.x), atol=1e-5)
    np.testing.assert_allclose(far.inputs(far.test_x), near.inputs(near.test_x), atol=1e-5)
    for one, other in zip(far.examples("test"), (test_x + offset, (test_y + 1e9)[:, None])):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)
    learner, moved = (dataclasses.replace(regressor(), data=data) for data in (near, far))
    network = begun(learner).network
    expected = np.asarray(learner.predict(network, x), np.float64) + 1e9
    np.testing.assert_allclose(moved.predict(network, moved_x), expected, rtol=0, atol=1e-3)
    for part in ("validation", "test"):
        one, other = (
            eqx.filter_jit(dataclasses.replace(i, evaluation_split=part).evaluate)(network, jax.random.key(0))
            for i in (learner, moved)
        )
        for name in one:
            assert float(one[name].value) == pytest.approx(float(other[name].value), rel=1e-3)


def test_data_near_zero_is_kept_as_it_comes():
    x, y = line()
    data = Data.from_targets(x, y)
    np.testing.assert_array_equal(data.x, x.astype(np.float32))
    np.testing.assert_array_equal(data.y[:, 0], y.astype(np.float32))
    assert (data.origin, data.y_origin) == (0, 0)
    pixels = np.full((5, 4, 4, 1), 200, np.uint8)
    assert Data.from_classes(pixels, [0, 1, 0, 1, 0], validation=0).x.dtype == np.uint8


def test_a_column_that_float32_cannot_carry_is_told_where_nothing_is_taken_off():
    x, y = line()
    with pytest.warns(UserWarning, match="column 1 of x does not survive float32.*; standardize it"):
        Data.from_targets(x + np.array([0, 1.7e9]), y, standardize="none")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Data.from_targets(x, y, standardize="none")
        Data.from_targets(np.full((20, 1), 0.3) + np.arange(20)[:, None] % 2 * 1e-17, np.arange(20))
        Data.from_targets(np.arange(20) + 2**40, np.arange(20))


def test_data_of_another_learner_keeps_its_type():
    replaced = dataclasses.replace(regressor(), evaluation_split="train")
    assert replaced.data.part("train")[2].shape == (160,)
    assert len(line()[0]) == 200


X, Y = blobs(30)
HUGE = np.where(np.arange(30)[:, None] == 26, 1e39, X)
HOLED = np.where(np.arange(30)[:, None] == 7, np.nan, X)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: Data.from_classes(X, Y[:-1]), "y has 29 rows; expected 30, one per example"),
    (lambda: Data.from_classes(X, Y - 1), "class labels go from 0"),
    (lambda: Data.from_classes(X, Y, classes=2), "class labels go from 0 to 1"),
    (lambda: Data.from_classes(X, Y + 0.5), "is a whole number from 0"),
    (lambda: Data.from_classes(HOLED, Y), "NaN or infinity in row 7"),
    (lambda: Data.from_classes(X[:0], Y[:0]), "expected at least one example"),
    (lambda: Data.from_classes(X, np.zeros(30)), "at least two classes"),
    (lambda: Data.from_classes(X, Y[:, None]), "one label per example"),
    (lambda: Data.from_classes(X.astype(str), Y), "x must hold numbers"),
    (lambda: Data.from_classes([[1, 2], [3]], [0, 1]), "its rows differ in length"),
    (lambda: Data.from_classes(X, Y, test=(X[:, :1], Y)), r"test x has examples of shape \(1,\); those of x"),
    (lambda: Data.from_classes(X, Y, test=(X, Y + 1)), r"test y\[\d+\] is 3; class labels go from 0 to 2"),
    (lambda: Data.from_classes(X, Y, test=X), r"test must be \(x, y\) or .*, got ndarray"),
    (lambda: Data.from_classes(X, Y, validation=1.0), r"share in \[0, 1\)"),
    (lambda: Data.from_classes(X, Y, validation="0.2"), r"a share in \[0, 1\), or \(x, y\), got '0.2'"),
    (lambda: Data.from_classes(X, Y, seed=-1), "seed must be a whole number of at least 0, got -1"),
    (lambda: Data.from_classes(X, Y, seed="a"), "seed must be a whole number of at least 0, got 'a'"),
    (lambda: Data.from_classes(X, 1), "y is a single value; expected 30, one per example"),
    (lambda: Data.from_targets(X, 1), "y is a single value; expected 30, one per example"),
    (lambda: Data.from_classes(X, Y, standardize="rows"), "standardize must be one of"),
    (lambda: Data.from_targets(X, np.full(30, np.inf)), "y has NaN or infinity in row 0"),
    (lambda: Data.from_classes(HUGE, Y), "x is beyond float32's largest, 3.4e\\+38, in row 26; rescale it"),
    (lambda: Data.from_targets(X, HUGE), "y is beyond float32's largest, 3.4e\\+38, in row 26"),
])  # fmt: skip
@pytest.mark.filterwarnings("error")
def test_bad_input_gets_one_clear_line(make, message):
    with pytest.raises(UsageError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.fixture
def files(tmp_path):
    """Blobs in files, and paths of them by name."""
    for name, values in {"x": X, "y": Y, "test_x": X[:9] + 1, "small": X.astype(np.float32)}.items():
        np.save(tmp_path / f"{name}.npy", values)
    return lambda name: tmp_path / f"{name}.npy"


def test_data_in_files_are_those_in_memory(files):
    """The same rows, statistics and examples, whatever is a path, a mapped array, or an array."""
    for far in (0, 1.7e9):  # far from zero there is an origin
        np.save(files("x"), X + far)
        np.save(files("test_x"), X[:9] + far)
        memory = Data.from_classes(X + far, Y, test=(X[:9] + far, Y[:9]), validation=0.2)
        mapped = np.load(files("x"), mmap_mode="r")
        for found in (
            Data.from_classes(files("x"), files("y"), test=(files("test_x"), Y[:9]), validation=0.2),
            Data.from_classes(mapped, Y, test=(X[:9] + far, Y[:9]), validation=0.2, memory=1000),
        ):
            assert (found.shape, found.outputs, found.x.shape) == (memory.shape, 3, memory.x.shape)
            for name in ("train", "validation", "origin", "mean", "deviation", "y", "test_y"):
                one, other = (np.asarray(getattr(data, name)) for data in (found, memory))
                assert one.tobytes() == other.tobytes(), name
            for part in ("train", "validation", "test"):
                (x, y), (expected_x, expected_y) = found.examples(part), memory.examples(part)
                np.testing.assert_array_equal(x[:], expected_x)
                np.testing.assert_array_equal(y, expected_y)


def test_validation_examples_may_have_a_file_of_their_own(files):
    memory = Data.from_classes(X, Y, validation=(X[:9] + 1, Y[:9]))
    found = Data.from_classes(files("x"), files("y"), validation=(files("test_x"), Y[:9]))
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(found.examples(part)[0][:], memory.examples(part)[0])
        np.testing.assert_array_equal(found.examples(part)[1], memory.examples(part)[1])


@pytest.mark.parametrize(("make", "message"), [
    (lambda files: Data.from_classes(files("none"), Y), "x: no file '.*none.npy'; give the path"),
    (lambda files: Data.from_classes(files("x"), files("none")), "y: no file '.*none.npy'"),
    (lambda files: Data.from_classes(files("x"), Y, test=(files("none"), Y)), "test x: no file"),
    (lambda files: Data.from_classes(files("x"), Y[:-1]), "y has 29 rows; expected 30, one per example"),
    (lambda files: Data.from_classes(files("y"), files("x")), "y has shape .*one label per example"),
    (lambda files: Data.from_classes(files("x"), Y, test=(files("y"), Y)), r"test x has examples of shape"),
    (lambda files: Data.from_classes(files("x"), Y, validation=(files("small"), Y)),
     "validation x is float32, x is float64; save both with one type"),
    (lambda files: Data.from_classes(X, Y, memory=1000), "memory limits what is read from files, and x is"),
    (lambda files: Data.from_classes(files("x"), Y, memory=0), "a whole number of bytes, at least 1, got 0"),
    (lambda files: Data.from_targets(files("x"), Y, memory=1e6), "a whole number of bytes, at least 1, got"),
])  # fmt: skip
def test_bad_files_get_one_clear_line(files, make, message):
    with pytest.raises(UsageError, match=message) as caught:
        make(files)
    assert "\n" not in str(caught.value)


def test_test_examples_are_not_cut_to_bytes():
    """0.5 of a float would become the byte 0, and 256 would become 0 too."""
    x, y = np.arange(12, dtype=np.uint8).reshape(6, 2), np.arange(6) % 2
    kept = Data.from_classes(x, y, test=(x.astype(float), y), validation=0.2)
    assert kept.test_x.dtype == np.uint8
    for off in (0.5, 256, -1):
        with pytest.raises(UsageError, match="test x is float64, x is uint8; give both in the same units"):
            Data.from_classes(x, y, test=(x.astype(float) + off, y), validation=0.2)


def test_without_a_test_part_the_final_evaluation_is_not_called_fresh():
    x, y = np.eye(8, dtype=np.float32), np.arange(8) % 2
    again = Classifier(Data.from_classes(x, y, validation=0.5))
    assert not again.independent_test
    assert again.test_description(1).endswith("again, since there is no test part")
    assert Classifier(Data.from_classes(x, y, test=(x, y))).independent_test
