"""Placement: how many devices members take, how many slots, and what `setup` refuses."""

import jax
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.engine.placement import place, setup
from tests.conftest import DEVICES


def test_no_more_devices_are_used_than_there_are_members_or_than_may_be():
    assert [len(place(n).devices) for n in (1, 2, 5)] == [1, DEVICES, DEVICES]
    assert [len(place(5, limit).devices) for limit in (0, 1, 2, 9)] == [DEVICES, 1, DEVICES, DEVICES]


def test_a_member_by_itself_takes_two_devices_where_its_bits_are_to_be_those_of_many():
    assert [len(place(1, limit, alike=True).devices) for limit in (0, 1, 2)] == [DEVICES, 1, 2]


def test_slots_are_whole_batches_on_every_device():
    two = place(8)
    assert [two.slots(n) for n in (1, 2, 3, 4)] == [2, 2, 4, 4]
    assert [two.slots(n, 3) for n in (1, 6, 7, 12, 13)] == [6, 6, 12, 12, 18]
    assert place(1).slots(5, 2) == 6


def test_members_lie_in_equal_shares_and_what_they_share_on_every_device():
    two = place(4)
    rows = np.arange(8.0).reshape(4, 2)
    own = jax.device_put(rows, two.by_member).addressable_shards
    assert [np.asarray(s.data).tolist() for s in own] == [rows[:2].tolist(), rows[2:].tolist()]
    shared = jax.device_put(rows, two.everywhere).addressable_shards
    assert [np.asarray(s.data).tolist() for s in shared] == [rows.tolist()] * 2
    assert [s.device for s in own] == [s.device for s in shared] == list(two.devices)


def test_devices_that_cannot_be_had_are_refused():
    with pytest.raises(UsageError, match="devices must be at least 1, got 0"):
        setup(0)
    assert len(jax.devices()) == DEVICES  # JAX has started, and its devices are settled
    with pytest.raises(UsageError, match="before the first JAX computation"):
        setup(DEVICES + 1, compilation_cache=False)
    setup(DEVICES, compilation_cache=False)
