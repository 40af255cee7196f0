"""Numbers of slots in the order of members: what no group measured is NaN, surplus slots are left out."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from populace.core.mean import Mean
from populace.engine.gathering import columns, gather


def group(indices: list[int], slots: int) -> Any:
    return SimpleNamespace(
        group=SimpleNamespace(indices=np.array(indices)), program=SimpleNamespace(slots=slots)
    )


GROUPS = [group([2, 0], 3), group([3], 1)]


def test_members_are_in_order_and_who_is_in_no_group_has_the_missing_value():
    parts = [np.array([20, 0, -1]), np.array([30])]
    assert gather(4, parts, GROUPS, missing=7).tolist() == [0, 7, 20, 30]


def test_metrics_are_totals_over_weights_and_nan_where_nothing_was_measured():
    first = {"loss": Mean(np.float32([6, 2, 0]), np.float32([3, 0, 1])), "own": Mean(np.ones(3), np.ones(3))}
    found = columns(4, [first, {"loss": Mean(np.float32([5]), np.float32([2]))}], GROUPS)
    np.testing.assert_array_equal(found["loss"], np.float32([np.nan, np.nan, 2, 2.5]))
    np.testing.assert_array_equal(found["own"], np.float32([1, np.nan, 1, np.nan]))
