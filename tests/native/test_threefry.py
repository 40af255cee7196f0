"""The kernel of random numbers, at the edges of its vectors, its tasks and its keys."""

from functools import partial

import jax
import numpy as np
import pytest

from populace.core import native
from populace.core.random import root_key

pytestmark = pytest.mark.skipif(bool(native.missing()), reason="no native kernels")
SIZES = {(): (1, 15, 16, 17, 4095, 4097, 70_001), (3,): (1, 5, 16, 1365, 1366), (257, 2): (1, 3, 7)}
"""Keys: numbers drawn from each. Vectors hold 16 numbers, tasks 4,096 of all keys together."""


def _draws(key: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    return jax.random.bits(key, (size,)), jax.random.key_data(jax.random.split(key, size))


def test_any_number_of_numbers_of_any_number_of_keys() -> None:
    @jax.jit
    def draws(key: jax.Array) -> list[jax.Array]:
        found = []
        for keys, sizes in SIZES.items():
            for size in sizes:
                draw = partial(_draws, size=size)
                for _ in keys:
                    draw = jax.vmap(draw)
                found += draw(jax.random.split(key, keys))
        return found

    for ours, theirs in zip(draws(root_key(5)), draws(jax.random.key(5)), strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


def test_keys_and_numbers_fold_in_whichever_of_them_is_shared() -> None:
    @jax.jit
    def folds(key: jax.Array) -> list[jax.Array]:
        keys, numbers = jax.random.split(key, 19), np.arange(19, dtype=np.uint32) * 226_050_911
        fold = jax.random.fold_in
        found = [
            jax.vmap(fold)(keys, numbers),
            jax.vmap(fold, (0, None))(keys, 7),
            jax.vmap(fold, (None, 0))(key, numbers),
        ]
        return [jax.random.key_data(k) for k in found]

    for ours, theirs in zip(folds(root_key(5)), folds(jax.random.key(5)), strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
