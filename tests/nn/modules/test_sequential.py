"""Stack, dropout, batch normalisation: what they do in training and what in use."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.nn.modules import sequential
from populace.nn.modules.batch_norm import BatchNorm
from populace.nn.modules.dropout import Dropout
from populace.nn.modules.sequential import Stack
from populace.nn.primitives.buffer import Buffer, trainable
from tests.nn.harness import check_layer

KEY = jax.random.key(0)


def batch_norm(channels: int) -> BatchNorm:
    keys = jax.random.split(KEY, 4)
    drawn = [jax.random.uniform(k, (channels,), minval=0.5, maxval=1.5) for k in keys]
    new = (drawn[0], drawn[1], Buffer(drawn[2]), Buffer(drawn[3]))
    return eqx.tree_at(lambda n: (n.scale, n.shift, n.mean, n.variance), BatchNorm(channels), new)


@pytest.mark.parametrize("shape", [(3,), (5, 3), (4, 2, 3)])
def test_batch_norm_in_use(shape):
    def reference(layer, x):
        out = np.empty_like(x)
        for place in np.ndindex(*x.shape):
            c = place[-1]
            unit = (x[place] - layer.mean.value[c]) / np.sqrt(layer.variance.value[c] + layer.eps)
            out[place] = unit * layer.scale[c] + layer.shift[c]
        return out

    check_layer(batch_norm(3), (jax.random.normal(KEY, shape),), reference)


def test_batch_norm_in_training_is_that_of_the_batch_and_moves_the_running_statistics():
    layer, x = batch_norm(3), 2 + 3 * jax.random.normal(KEY, (16, 5, 3))
    out, after = sequential.learn(Stack([layer]), x, KEY)
    flat = np.asarray(x, np.float64).reshape(-1, 3)
    unit = (np.asarray(x) - flat.mean(0)) / np.sqrt(flat.var(0) + layer.eps)
    np.testing.assert_allclose(out, unit * layer.scale + layer.shift, atol=1e-5)
    moved = after.layers[0]
    np.testing.assert_allclose(moved.mean.value, 0.9 * layer.mean.value + 0.1 * flat.mean(0), rtol=1e-5)
    np.testing.assert_allclose(
        moved.variance.value, 0.9 * layer.variance.value + 0.1 * flat.var(0), rtol=1e-5
    )


def test_batch_norm_gradient_through_the_batch_statistics():
    with jax.enable_x64(True):
        x = jnp.asarray(np.random.default_rng(0).normal(size=(6, 2)))
        weight = jnp.cos(jnp.arange(12.0)).reshape(6, 2)

        def loss(x):
            return jnp.sum(sequential.learn(Stack([BatchNorm(2)]), x, KEY)[0] * weight)

        found = jax.grad(loss)(x)
        for place in np.ndindex(*x.shape):
            step = jnp.zeros_like(x).at[place].set(1e-6)
            assert float(found[place]) == pytest.approx(
                float((loss(x + step) - loss(x - step)) / 2e-6), abs=1e-5
            )


def test_dropout_drops_its_share_scales_the_rest_and_rests_in_use():
    layer, x = Dropout(0.3), jnp.ones((200, 100))
    out, _ = sequential.learn(Stack([layer]), x, KEY)
    dropped = float((out == 0).mean())
    assert dropped == pytest.approx(0.3, abs=0.01)
    np.testing.assert_allclose(np.unique(out), [0, 1 / 0.7], rtol=1e-6)
    rows = np.asarray(out == 0)
    assert (rows[0] != rows[1]).any()
    np.testing.assert_array_equal(sequential.use(Stack([layer]), x), x)


def test_two_dropouts_of_a_stack_drop_different_numbers():
    out, _ = sequential.learn(Stack([Dropout(0.5), Dropout(0.5)]), jnp.ones((50, 100)), KEY)
    assert float((out > 0).mean()) == pytest.approx(0.25, abs=0.03)


def test_weights_are_trained_and_buffers_are_not():
    network = Stack([eqx.nn.Linear(2, 3, key=KEY), BatchNorm(3), Dropout(0.1), jax.nn.relu])
    weights, rest = eqx.partition(network, trainable(network))
    assert [x.shape for x in jax.tree.leaves(weights)] == [(3, 2), (3,), (3,), (3,)]
    assert len(jax.tree.leaves(eqx.filter(rest, eqx.is_array))) == 3


def test_activations_are_those_on_the_way():
    linear = eqx.nn.Linear(2, 3, key=KEY)
    found = Stack([linear, jax.nn.relu]).activations(jnp.ones(2))
    assert list(found) == ["0-Linear", "1-relu"]
    np.testing.assert_array_equal(found["1-relu"], jax.nn.relu(linear(jnp.ones(2))))


@pytest.mark.parametrize(("make", "message"), [
    (lambda: BatchNorm(3)(jnp.ones((2, 4))), r"BatchNorm: input has shape \(2, 4\), expected \(..., 3\)"),
    (lambda: BatchNorm(0), "channels must be at least 1, got 0"),
    (lambda: BatchNorm(3, rate=0.0), "rate must be in"),
    (lambda: Dropout(1.0), r"Dropout: rate must be in \[0, 1\), got 1"),
])  # fmt: skip
def test_bad_input(make, message):
    with pytest.raises(UsageError, match=message):
        make()
