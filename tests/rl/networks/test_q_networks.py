"""Networks of action values against NumPy, written from their formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.rl.environments import registry
from populace.rl.networks.q_networks import NoisyLinear, QNetwork, convolves

CARTPOLE, BREAKOUT = (registry.make(name) for name in ("CartPole-v1", "Breakout-MinAtar"))


def relu(x):
    return np.maximum(x, 0)


def linear(layer, x):
    return np.asarray(layer.weight) @ x + np.asarray(layer.bias)


def test_plain_is_a_perceptron():
    network = QNetwork(CARTPOLE, (5, 7), key=jax.random.key(0))
    x = np.float32([0.1, -2.0, 0.3, 1.0])
    (first,), (second, last) = network.trunk, network.advantage
    expected = linear(last, relu(linear(second, relu(linear(first, x)))))
    np.testing.assert_allclose(network(jnp.asarray(x)), expected, rtol=1e-5)
    assert network.value == []


@pytest.mark.parametrize("hidden", [(), (6,), (5, 7)])
@pytest.mark.parametrize("outputs", [0, 4])
def test_dueling_streams_add_up(hidden, outputs):
    network = QNetwork(CARTPOLE, hidden, key=jax.random.key(0), outputs=outputs, dueling=True)
    h = x = np.float32([0.1, -2.0, 0.3, 1.0])
    for layer in network.trunk:
        h = relu(linear(layer, h))

    def stream(layers):
        y = linear(layers[0], h)
        for layer in layers[1:]:
            y = linear(layer, relu(y))
        return y.reshape(-1, max(outputs, 1))

    value, advantage = stream(network.value), stream(network.advantage)
    expected = value + advantage - advantage.mean(0)
    np.testing.assert_allclose(
        network(jnp.asarray(x)), expected if outputs else expected[:, 0], rtol=1e-4, atol=1e-6
    )
    assert len(network.trunk) == max(len(hidden) - 1, 0)
    first = [np.asarray(s[0].weight)[0, 0] for s in (network.value, network.advantage)]
    assert first[0] != first[1]


def test_a_picture_is_convolved():
    network = QNetwork(BREAKOUT, (8,), key=jax.random.key(0), channels=3)
    assert network.convolution is not None
    x = (np.random.default_rng(0).random((10, 10, 4)) < 0.3).astype(np.uint8)
    weight, bias = np.asarray(network.convolution.weight), np.asarray(network.convolution.bias)
    seen = np.zeros((8, 8, 3))
    for i in range(8):
        for j in range(8):
            seen[i, j] = np.einsum("hwc,hwco->o", x[i : i + 3, j : j + 3], weight) + bias
    hidden, last = network.advantage
    expected = linear(last, relu(linear(hidden, relu(seen).ravel())))
    np.testing.assert_allclose(network(jnp.asarray(x)), expected, rtol=1e-4, atol=1e-6)


def test_noise_is_factorised():
    layer = NoisyLinear(3, 2, 0.5, key=jax.random.key(0))
    e, x = np.float32([0.3, -1.2, 2.0, -0.4, 0.9]), np.float32([1.0, -2.0, 0.5])
    f = np.sign(e) * np.sqrt(np.abs(e))
    weight = np.asarray(layer.weight) + np.asarray(layer.weight_noise) * np.outer(f[3:], f[:3])
    bias = np.asarray(layer.bias) + np.asarray(layer.bias_noise) * f[3:]
    np.testing.assert_allclose(layer(jnp.asarray(x), jnp.asarray(e)), weight @ x + bias, rtol=1e-5)
    np.testing.assert_allclose(layer(jnp.asarray(x)), linear(layer, x), rtol=1e-5)
    np.testing.assert_allclose(layer.weight_noise, 0.5 / np.sqrt(3), rtol=1e-6)


def test_every_forward_pass_has_noise_of_its_own_and_none_without_a_key():
    network = QNetwork(CARTPOLE, (8, 8), key=jax.random.key(0), dueling=True, sigma=0.5)
    x = jnp.ones(4)
    a, b, again = (network(x, jax.random.key(k)) for k in (1, 2, 1))
    assert not np.allclose(a, b)
    np.testing.assert_array_equal(a, again)
    assert not np.allclose(a, network(x))
    drawn = jax.vmap(network.advantage[0], (None, 0))(
        jnp.ones(8), jax.random.normal(jax.random.key(3), (20_000, 16))
    )
    np.testing.assert_allclose(drawn.mean(0), network.advantage[0](jnp.ones(8)), atol=0.03)


def test_no_two_layers_share_their_noise():
    network = QNetwork(CARTPOLE, (4, 4), key=jax.random.key(0), dueling=True, sigma=0.5)
    layers = [*network.trunk, *network.advantage, *network.value]
    x, key = jnp.ones(4), jax.random.key(1)
    changed = jax.grad(lambda n: n(x, key).sum())(network)
    assert len(layers) == 5
    assert network.advantage[0].draws == 8
    both = [np.asarray(s[0].weight_noise) for s in (changed.advantage, changed.value)]
    assert not np.allclose(*both)


def test_one_draw_of_noise_serves_a_batch():
    network = QNetwork(CARTPOLE, (8,), key=jax.random.key(0), sigma=0.5)
    x, key = jax.random.normal(jax.random.key(1), (5, 4)), jax.random.key(2)
    batch = jax.vmap(network, (0, None))(x, key)
    np.testing.assert_allclose(batch, jnp.stack([network(row, key) for row in x]), rtol=1e-5)


def test_the_kind_follows_the_shape_of_an_observation():
    found = [convolves(kind, task) for task in (BREAKOUT, CARTPOLE) for kind in ("auto", "mlp")]
    assert found == [True, False, False, False]
    assert convolves("conv", BREAKOUT)
    with pytest.raises(UsageError, match=r"network 'conv' needs observations of \(height, width, channels\)"):
        convolves("conv", CARTPOLE)
