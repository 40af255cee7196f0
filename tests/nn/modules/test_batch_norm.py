"""Batch normalization: by the running statistics in use, by those of the batch in training."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.nn.modules import sequential
from populace.nn.modules.batch_norm import BatchNorm
from populace.nn.modules.sequential import Sequential
from tests.nn.harness import check_gradient, check_layer


def batch_norm(channels: int) -> BatchNorm:
    """A layer with all of its arrays drawn: the variance has to be positive."""
    draws = np.random.default_rng(0)
    layer = eqx.filter_eval_shape(lambda: BatchNorm(channels))
    return jax.tree.map(lambda x: draws.uniform(0.5, 1.5, x.shape).astype(x.dtype), layer)


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(3,), (5, 3), (4, 2, 3)])
def test_batch_norm_in_use(shape):
    def reference(layer, x):
        out = np.empty_like(x)
        for place in np.ndindex(*x.shape):
            c = place[-1]
            unit = (x[place] - layer.mean.value[c]) / np.sqrt(layer.variance.value[c] + layer.eps)
            out[place] = unit * layer.scale[c] + layer.shift[c]
        return out

    check_layer(batch_norm(3), (draw(*shape),), reference, eager=shape == (3,))


def test_batch_norm_in_training_is_that_of_the_batch_and_moves_the_running_statistics():
    layer, x = batch_norm(3), 2 + 3 * draw(16, 5, 3)
    out, after = jax.jit(lambda x, key: sequential.learn(Sequential([layer]), x, key))(x, jax.random.key(0))
    flat = np.asarray(x, np.float64).reshape(-1, 3)
    unit = (x - flat.mean(0)) / np.sqrt(flat.var(0) + layer.eps)
    np.testing.assert_allclose(out, unit * layer.scale + layer.shift, atol=1e-5)
    moved = after.layers[0]
    np.testing.assert_allclose(moved.mean.value, 0.9 * layer.mean.value + 0.1 * flat.mean(0), rtol=1e-5)
    np.testing.assert_allclose(
        moved.variance.value, 0.9 * layer.variance.value + 0.1 * flat.var(0), rtol=1e-5
    )


@pytest.mark.parametrize("positions", [(), (5,)])
def test_examples_that_fill_the_batch_up_move_no_statistics(positions):
    layer, x = batch_norm(3), 2 + 3 * draw(6, *positions, 3)
    weight = np.float32([1, 1, 0, 1, 0, 1])
    learn = jax.jit(lambda x, weight: sequential.learn(Sequential([layer]), x, jax.random.key(0), weight))
    out, after = learn(x, weight)
    x[weight == 0] = 1e3
    other, same = learn(x, weight)
    flat = np.asarray(x[weight > 0], np.float64).reshape(-1, 3)
    unit = (x - flat.mean(0)) / np.sqrt(flat.var(0) + layer.eps)
    expected = (unit * layer.scale + layer.shift)[weight > 0]
    for found, moved in ((out, after), (other, same)):
        np.testing.assert_allclose(np.asarray(found)[weight > 0], expected, atol=1e-5)
        wanted = 0.9 * layer.variance.value + 0.1 * flat.var(0)
        np.testing.assert_allclose(moved.layers[0].variance.value, wanted, rtol=1e-5)
    last, still = learn(x, np.float32([1, 0, 0, 0, 0, 0]))
    if not positions:  # of a single number nothing would be left but the shift, and no spread to remember
        used = layer(x[0])
        np.testing.assert_allclose(np.asarray(last)[0], used, rtol=1e-5)
        np.testing.assert_array_equal(still.layers[0].variance.value, layer.variance.value)


def test_batch_norm_gradient_through_the_batch_statistics():
    check_gradient(
        lambda x, layer: sequential.learn(Sequential([layer]), x, jax.random.key(0))[0],
        (draw(6, 2), batch_norm(2)),
    )


@pytest.mark.parametrize(("make", "message"), [
    (lambda: BatchNorm(3)(jnp.ones((2, 4))), r"BatchNorm: input has shape \(2, 4\), expected \(..., 3\)"),
    (lambda: BatchNorm(0), "channels must be at least 1, got 0"),
    (lambda: BatchNorm(3, momentum=0.0), "momentum must be in"),
])  # fmt: skip
def test_bad_input(make, message):
    with pytest.raises(UsageError, match=message):
        jax.eval_shape(make)
