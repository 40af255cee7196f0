"""Metric tables arranged by member and time, whichever way their rows lie."""

import numpy as np
import pyarrow as pa
import pytest

from populace.report.charts import curves

STEPS, MEMBERS = np.array([10, 20, 40]), np.array([0, 1, 3, 7])


def table(order=slice(None), parts=1, **others) -> pa.Table:
    """Three steps of four members, in so many parts."""
    values = np.arange(12.0)
    values[[2, 5]] = np.nan, np.inf
    step, member = np.repeat(STEPS, 4), np.tile(MEMBERS, 3)
    columns = {"step": step, "member": member.astype(np.int32), "score": values.astype(np.float32)} | others
    columns = {name: np.asarray(column)[order] for name, column in columns.items()}
    cut = np.array_split(np.arange(len(columns["step"])), parts)
    return pa.concat_tables(
        pa.table({n: pa.array(c[rows], mask=np.isnan(c[rows])) for n, c in columns.items()}) for rows in cut
    )


def test_a_table_in_turn_and_one_in_disorder_are_arranged_alike():
    right = np.arange(12.0).reshape(3, 4).T
    right[2, 0] = right[1, 1] = np.nan
    units = np.repeat(STEPS * 3, 4)
    shuffled = np.random.default_rng(0).permutation(12)
    swapped = [*range(4), 5, 4, *range(6, 12)]
    for order in (slice(None), shuffled, swapped, np.arange(12)[::-1]):
        for parts in (1, 5):
            found = curves.grid(table(order, parts, units=units), "score")
            assert found is not None
            np.testing.assert_array_equal(found.values, right)
            np.testing.assert_array_equal(found.steps, STEPS)
            np.testing.assert_array_equal(found.units, STEPS * 3)
            np.testing.assert_array_equal(found.members, MEMBERS)
            np.testing.assert_array_equal(found.rows([3, 1]), right[[2, 1]])
            np.testing.assert_array_equal(found.rows(MEMBERS.tolist()), right)
            np.testing.assert_array_equal(found.rows([1, 2]), right[[1]])


@pytest.mark.parametrize("gone", [0, 5, 11])
def test_a_row_that_is_missing_leaves_a_gap(gone):
    found = curves.grid(table(np.delete(np.arange(12), gone)), "score")
    right = np.arange(12.0).reshape(3, 4).T
    right[2, 0] = right[1, 1] = right[gone % 4, gone // 4] = np.nan
    assert found is not None
    np.testing.assert_array_equal(found.values, right)
    np.testing.assert_array_equal(found.units, STEPS)


def test_what_was_never_measured_is_none():
    assert curves.grid(table(score=np.full(12, np.nan)), "score") is None
    assert curves.grid(table(), "another") is None
    assert curves.grid(table().slice(0, 0), "score") is None
