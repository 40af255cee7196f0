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
