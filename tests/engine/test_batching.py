"""Batches of any width do what one batch of all does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.engine.batching import in_turn, over_members

MEMBERS = 6


@pytest.mark.parametrize("width", [1, 2, 3, 6])
def test_every_member_is_computed_once_and_lands_in_its_own_place(width: int) -> None:
    x = np.arange(MEMBERS * 4.0).reshape(MEMBERS, 4)
    k = np.arange(MEMBERS)

    def one(x: jax.Array, k: jax.Array) -> dict[str, jax.Array]:
        assert x.shape == (4,), "a member does not see the others"
        return {"sum": jnp.sum(x) + k, "twice": 2 * x}

    found = jax.jit(over_members(one, width))(x, k)
    np.testing.assert_array_equal(found["sum"], x.sum(1) + k)
    np.testing.assert_array_equal(found["twice"], 2 * x)


@pytest.mark.parametrize("width", [1, 2, 3, 6])
def test_batches_see_their_own_part_and_change_no_other(width: int) -> None:
    def batch(read: jax.Array, written: jax.Array) -> jax.Array:
        assert read.shape == (width,)
        return written + read + jnp.max(read)

    read, written = np.array([3, 1, 4, 1, 5, 9]), np.arange(MEMBERS) * 100
    found = jax.jit(lambda r, w: in_turn(batch, r, w, width))(read, written)
    most = np.repeat(read.reshape(-1, width).max(1), width)
    np.testing.assert_array_equal(found, written + read + most)
