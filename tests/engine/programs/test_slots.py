"""Entries of members in stacked arrays: numbers and random keys alike."""

import jax
import numpy as np

from populace.engine.placement import place
from populace.engine.programs import slots


def test_what_is_put_is_taken_again_and_nothing_else_changes():
    placement = place(4, 1)
    x = np.arange(8, dtype=np.float32).reshape(4, 2)
    keys = jax.random.split(jax.random.key(0), 4)

    def stacked() -> dict:
        return jax.device_put({"x": x, "key": keys}, placement.by_member)

    entries = {3: {"x": np.float32([7, 8]), "key": keys[0]}, 1: {"x": np.float32([9, 9]), "key": keys[2]}}
    expected = x.copy()
    expected[3], expected[1] = [7, 8], [9, 9]
    many = slots.put_many(stacked(), entries, placement)
    np.testing.assert_array_equal(many["x"], expected)
    one = slots.put(slots.put(stacked(), 3, entries[3], placement), 1, entries[1], placement)
    for found in (many, one):
        for slot, entry in slots.take_many(found, [3, 1]).items():
            for taken in (entry, slots.take(found, slot)):
                np.testing.assert_array_equal(taken["x"], entries[slot]["x"])
                assert taken["key"] == entries[slot]["key"]
    chosen = slots.rows(many, np.array([2, 3]), placement)
    np.testing.assert_array_equal(chosen["x"], expected[2:])
