"""A stack of layers, and what it shows of the way through them."""

import equinox as eqx
import jax
import numpy as np

from populace.nn.modules.sequential import Sequential
from tests.nn.draws import filled


def test_activations_are_those_on_the_way():
    linear, x = filled(lambda key: eqx.nn.Linear(2, 3, key=key)), np.ones(2, np.float32)
    found = Sequential([linear, jax.nn.relu]).activations(x)
    assert list(found) == ["0-Linear", "1-relu"]
    product = linear.weight @ x + linear.bias
    np.testing.assert_allclose(found["0-Linear"], product, rtol=1e-6)
    np.testing.assert_allclose(found["1-relu"], np.maximum(product, 0), rtol=1e-6)
