"""Networks of action values against NumPy, written from their formulas."""

import equinox as eqx
import jax
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.rl.environments import registry
from populace.rl.networks.q_networks import NoisyLinear, QNetwork, convolves
from tests.draws import filled

CARTPOLE, BREAKOUT = (registry.make(name) for name in ("CartPole-v1", "Breakout-MinAtar"))
X = np.float32([0.1, -2.0, 0.3, 1.0])

ask = eqx.filter_jit(lambda network, x: network(x))


def network(task, hidden, **settings):
    return filled(lambda: QNetwork(task, hidden, key=jax.random.key(0), **settings))


def relu(x):
    return np.maximum(x, 0)


def linear(layer, x):
    return layer.weight @ x + layer.bias


def test_plain_is_a_perceptron():
    plain = network(CARTPOLE, (5, 7))
    (first,), (second, last) = plain.trunk, plain.advantage
    expected = linear(last, relu(linear(second, relu(linear(first, X)))))
    np.testing.assert_allclose(ask(plain, X), expected, rtol=1e-5, atol=1e-6)
    assert plain.value == []


# Every depth from which the streams part: at once, from a hidden layer each, behind a layer that they share.
@pytest.mark.parametrize("hidden", [(), (6,), (5, 7)])
@pytest.mark.parametrize("outputs", [0, 4])
def test_dueling_streams_add_up(hidden, outputs):
    dueling = network(CARTPOLE, hidden, outputs=outputs, dueling=True)
    h = X
    for layer in dueling.trunk:
        h = relu(linear(layer, h))

    def stream(layers):
        y = linear(layers[0], h)
        for layer in layers[1:]:
            y = linear(layer, relu(y))
        return y.reshape(-1, max(outputs, 1))

    value, advantage = stream(dueling.value), stream(dueling.advantage)
    expected = value + advantage - advantage.mean(0)
    found = ask(dueling, X)
    np.testing.assert_allclose(found, expected if outputs else expected[:, 0], rtol=1e-4, atol=1e-6)
    assert len(dueling.trunk) == max(len(hidden) - 1, 0)


def test_both_streams_start_with_weights_of_their_own():
    @jax.jit
    def start(seed):
        return QNetwork(CARTPOLE, (5, 7), key=jax.random.key(seed), dueling=True)

    fresh = start(0)
    for value, advantage in zip(fresh.value, fresh.advantage, strict=True):
        assert np.asarray(value.weight)[0, 0] != np.asarray(advantage.weight)[0, 0]
    layers = [*fresh.trunk, *fresh.value, *fresh.advantage]
    assert len({float(np.asarray(layer.weight)[0, 0]) for layer in layers}) == 5


def test_a_picture_is_convolved():
    x = (np.random.default_rng(0).random((10, 10, 4)) < 0.3).astype(np.uint8)
    seeing = network(BREAKOUT, (8,), channels=3)
    weight, bias = seeing.convolution.weight, seeing.convolution.bias
    seen = np.zeros((8, 8, 3))
    for i in range(8):
        for j in range(8):
            seen[i, j] = np.einsum("hwc,hwco->o", x[i : i + 3, j : j + 3], weight) + bias
    hidden, last = seeing.advantage
    expected = linear(last, relu(linear(hidden, relu(seen).ravel())))
    np.testing.assert_allclose(ask(seeing, x), expected, rtol=1e-4, atol=1e-4)


def test_noise_is_factorized():
    e, x = np.float32([0.3, -1.2, 2.0, -0.4, 0.9]), np.float32([1.0, -2.0, 0.5])
    layer = filled(lambda: NoisyLinear(3, 2, 0.5, key=jax.random.key(0)))
    noisy, mean = jax.jit(lambda layer, x, e: (layer(x, e), layer(x)))(layer, x, e)
    f = np.sign(e) * np.sqrt(np.abs(e))
    weight = layer.weight + layer.weight_noise * np.outer(f[3:], f[:3])
    bias = layer.bias + layer.bias_noise * f[3:]
    np.testing.assert_allclose(noisy, weight @ x + bias, rtol=1e-5)
    np.testing.assert_allclose(mean, linear(layer, x), rtol=1e-5)


def test_noise_starts_as_strong_as_the_inputs_are_few():
    layer = jax.jit(lambda seed: NoisyLinear(3, 2, 0.5, key=jax.random.key(seed)))(0)
    np.testing.assert_allclose(layer.weight_noise, np.full((2, 3), 0.5 / np.sqrt(3)), rtol=1e-6)
    np.testing.assert_allclose(layer.bias_noise, np.full(2, 0.5 / np.sqrt(3)), rtol=1e-6)


@pytest.fixture(scope="module")
def passes():
    """One noisy network asked with three keys, without one, and for its gradient."""
    noisy = network(CARTPOLE, (8, 8), dueling=True, sigma=0.5)
    rows = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)

    @jax.jit
    def outcome(noisy, rows, seeds):
        keys = jax.vmap(jax.random.key)(seeds)
        each = jax.lax.map(lambda key: jax.lax.map(lambda row: noisy(row, key), rows), keys)
        batch = jax.vmap(noisy, (0, None))(rows, keys[0])
        gradient = jax.grad(lambda n: n(rows[0], keys[0]) @ np.float32([1, 2]))(noisy)
        return each, batch, noisy(rows[0]), gradient

    return noisy, *jax.tree.map(np.asarray, outcome(noisy, rows, np.array([1, 2, 1])))


def test_every_forward_pass_has_noise_of_its_own_and_none_without_a_key(passes):
    _, each, _, mean, _ = passes
    a, b, again = each[:, 0]
    assert not np.allclose(a, b)
    np.testing.assert_array_equal(a, again)
    assert not np.allclose(a, mean)


def test_one_draw_of_noise_serves_a_batch(passes):
    _, each, batch, _, _ = passes
    np.testing.assert_allclose(batch, each[0], rtol=1e-5, atol=1e-6)


def test_no_two_layers_share_their_noise(passes):
    noisy, *_, changed = passes
    layers = [*noisy.trunk, *noisy.advantage, *noisy.value]
    assert len(layers) == 5
    assert noisy.advantage[0].draws == 16
    # The gradient of a bias is that of its noise times the noise.
    told = []
    for gradient in (*changed.trunk, *changed.advantage, *changed.value):
        bias, noise = np.asarray(gradient.bias), np.asarray(gradient.bias_noise)
        assert np.any(bias != 0)
        told.extend(noise[bias != 0] / bias[bias != 0])
    assert len(np.unique(np.round(told, 4))) == len(told)


def test_a_layer_without_noise_is_its_mean_over_all_noise(passes):
    layer, h = passes[0].advantage[0], np.ones(8, np.float32)
    e = np.random.default_rng(3).normal(size=(20_000, 16)).astype(np.float32)
    drawn, mean = jax.jit(lambda h, e: (jax.vmap(layer, (None, 0))(h, e), layer(h)))(h, e)
    error = np.asarray(drawn).std(0) / np.sqrt(len(e))
    np.testing.assert_array_less(np.abs(np.asarray(drawn).mean(0) - mean), 5 * error)


def test_the_kind_follows_the_shape_of_an_observation():
    found = [convolves(kind, task) for task in (BREAKOUT, CARTPOLE) for kind in ("auto", "mlp")]
    assert found == [True, False, False, False]
    assert convolves("conv", BREAKOUT)
    with pytest.raises(UsageError, match=r"network 'conv' needs observations of \(height, width, channels\)"):
        convolves("conv", CARTPOLE)
