"""Moving averages of weights: corrected for their start, buffers left alone."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.nn.primitives.buffer import Buffer
from populace.optim.moving_average import MovingAverage


class Layer(eqx.Module):
    weight: jax.Array
    count: Buffer
    name: str = eqx.field(static=True, default="layer")


def layer(value: float) -> Layer:
    return Layer(jnp.full(3, value), Buffer(jnp.float32(10 * value)))


@eqx.filter_jit
def averaged(values, decay: float) -> tuple[Layer, jax.Array]:
    average = MovingAverage.start(layer(-5.0))
    for value in values:
        average = average.after(layer(value), decay)
    return average.of(layer(values[-1])), average.total


@pytest.mark.parametrize("decay", [0.0, 0.9, 0.9999])
def test_the_average_of_a_constant_is_the_constant(decay):
    found, total = averaged([0.7] * 5, decay)
    np.testing.assert_allclose(found.weight, 0.7, rtol=2e-6)
    np.testing.assert_allclose(total, 1 - decay**5, rtol=1e-3)


def test_later_weights_count_more_and_buffers_are_the_last():
    found, _ = averaged([1.0, 2.0, 4.0], 0.5)
    np.testing.assert_allclose(found.weight, (1.0 / 4 + 2.0 / 2 + 4.0) / (1 / 4 + 1 / 2 + 1), rtol=1e-6)
    assert found.count.value == 40


def test_nothing_averaged_yet_is_the_network_itself():
    np.testing.assert_array_equal(MovingAverage.start(layer(3.0)).of(layer(3.0)).weight, np.full(3, 3.0))
