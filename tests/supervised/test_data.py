"""Data: how they are split and standardized, what float32 keeps of them, and what is refused."""

import dataclasses
import warnings

import equinox as eqx
import jax
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.supervised import Data
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
    assert Data.from_classes(pixels, [0, 1, 0, 1, 0]).x.dtype == np.uint8


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
    (lambda: Data.from_classes(X, Y, test=X), "test must be a pair"),
    (lambda: Data.from_classes(X, Y, validation=1.0), r"share in \[0, 1\)"),
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
