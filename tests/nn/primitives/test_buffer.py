"""Buffers: saved with a module, and never descended on."""

import equinox as eqx
import jax

from populace.nn.modules.batch_norm import BatchNorm
from populace.nn.modules.dropout import Dropout
from populace.nn.modules.sequential import Sequential
from populace.nn.primitives.buffer import trainable
from tests.nn.draws import filled


def test_weights_are_trained_and_buffers_are_not():
    network = filled(
        lambda key: Sequential([eqx.nn.Linear(2, 3, key=key), BatchNorm(3), Dropout(0.1), jax.nn.relu])
    )
    weights, rest = eqx.partition(network, trainable(network))
    assert [x.shape for x in jax.tree.leaves(weights)] == [(3, 2), (3,), (3,), (3,)]
    assert len(jax.tree.leaves(eqx.filter(rest, eqx.is_array))) == 3
