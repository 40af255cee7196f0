"""Dropout: how much it drops, how it scales the rest, and that it rests in use."""

import jax
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.nn.modules import sequential
from populace.nn.modules.dropout import Dropout
from populace.nn.modules.sequential import Sequential


def test_dropout_drops_its_share_scales_the_rest_and_rests_in_use():
    x = np.ones((200, 100), np.float32)

    @jax.jit
    def both(x, key):
        stack = Sequential([Dropout(0.3)])
        return sequential.learn(stack, x, key)[0], sequential.use(stack, x)

    out, used = map(np.asarray, both(x, jax.random.key(0)))
    assert (out == 0).mean() == pytest.approx(0.3, abs=0.01)
    np.testing.assert_allclose(np.unique(out), [0, 1 / 0.7], rtol=1e-6)
    rows = out == 0
    assert (rows[0] != rows[1]).any()
    np.testing.assert_array_equal(used, x)


def test_two_dropouts_of_a_stack_drop_different_numbers():
    learn = jax.jit(lambda x, key: sequential.learn(Sequential([Dropout(0.5), Dropout(0.5)]), x, key)[0])
    out = np.asarray(learn(np.ones((50, 100), np.float32), jax.random.key(0)))
    assert (out > 0).mean() == pytest.approx(0.25, abs=0.03)


def test_bad_input():
    with pytest.raises(UsageError, match=r"Dropout: rate must be in \[0, 1\), got 1"):
        Dropout(1.0)
