"""Checks and statistics of examples, which are made block by block."""

import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.data import arrays


@pytest.mark.parametrize("how", ["all", "feature", "channel"])
@pytest.mark.parametrize("block", [1, 10, 2**20])
def test_statistics_block_by_block_are_those_of_the_whole(monkeypatch, how, block):
    monkeypatch.setattr(arrays, "BLOCK", block)
    x = np.random.default_rng(1).normal(3, 2, size=(50, 2, 3))
    rows = np.arange(1, 50, 2)
    axes = {"all": None, "feature": 0, "channel": (0, 1)}[how]
    mean, deviation = arrays.moments(x, rows, how)
    np.testing.assert_allclose(mean, x[rows].mean(axes), rtol=1e-6)
    np.testing.assert_allclose(deviation, x[rows].std(axes), rtol=1e-6)
    moved, _ = arrays.moments(x, rows, how, np.float32(1))
    np.testing.assert_allclose(moved, x[rows].mean(axes) - 1, rtol=1e-6)


def test_a_bad_row_is_named_wherever_its_block_begins(monkeypatch):
    monkeypatch.setattr(arrays, "BLOCK", 4)
    x = np.zeros((9, 2))
    x[7, 1] = np.nan
    with pytest.raises(UsageError, match="x has NaN or infinity in row 7"):
        arrays.check_features("x", x)
    x[7, 1] = 1e39
    with pytest.raises(UsageError, match="in row 7; rescale it"):
        arrays.check_features("x", x)


@pytest.mark.parametrize(("label", "message"), [
    (2**32 + 1, r"y\[1\] is 4294967297, which makes 4,294,967,298 classes of 3 examples"),
    (2**31, r"y\[1\] is 2147483648, which makes"),
    (10**9, r"y\[1\] is 1000000000, which makes 1,000,000,001 classes of 3 examples; number the classes"),
    (1000.0, r"y\[1\] is 1000, which makes 1,001 classes"),
])  # fmt: skip
def test_a_label_is_checked_before_it_is_converted(label, message):
    with pytest.raises(UsageError, match=message):
        arrays.check_labels("y", np.array([0, label, 1]), 3)
    np.testing.assert_array_equal(arrays.check_labels("y", np.array([0, 999, 1]), 3), [0, 999, 1])
    np.testing.assert_array_equal(arrays.check_labels("y", np.array([0, 1000, 1]), 3, 1001), [0, 1000, 1])
    with pytest.raises(UsageError, match="class labels go from 0 to 1"):
        arrays.check_labels("y", np.array([0, 2**32 + 1, 1]), 3, 2)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_one_pass_gives_the_moments_of_what_is_kept(dtype):
    x = np.random.default_rng(2).normal(90, 20, size=(50, 3)).astype(dtype)
    x = x + np.array([0, 0, 1.7e9]) if dtype == np.float64 else x
    rows = np.arange(0, 50, 3)
    origin, *found = arrays.origin_and_moments(x, rows, "feature")
    assert origin.any() == (dtype == np.float64)
    for one, other in zip(found, arrays.moments(x, rows, "feature", origin)):
        assert one.tobytes() == other.tobytes()
