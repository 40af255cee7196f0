"""Polyak averaging: weights follow, buffers are copied, and what is no array stays."""

import jax.numpy as jnp
import numpy as np

from populace.nn.primitives.buffer import Buffer
from populace.rl.networks import custom
from populace.rl.targets.polyak import polyak


def test_the_target_copies_buffers_and_follows_weights():
    def made(weight: float, buffer: float) -> custom.CustomQNetwork:
        module = (jnp.full(3, weight), Buffer(jnp.float32(buffer)), jnp.tanh)
        return custom.CustomQNetwork(module, 0, 3, 0)

    weight, buffer, act = polyak(made(1.0, 5.0), made(2.0, 7.0), jnp.float32(0.25)).module
    np.testing.assert_allclose(weight, 1.25)
    assert float(buffer.value) == 7
    assert act is jnp.tanh
