"""WaveNet against its formula, its past, and itself one step at a time."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from populace.core.errors import UsageError
from populace.nn.conv.wavenet import WaveNet
from tests.nn.conv.test_convolution import assert_close, correlate, draw
from tests.nn.harness import check_layer


def reference(net: Any, x: np.ndarray) -> np.ndarray:
    """The formula in the class's docstring, with loops for its convolutions."""

    def everywhere(conv: Any, h: np.ndarray) -> np.ndarray:
        return h @ conv.weight[0] + conv.bias

    h = everywhere(net.enter, x)
    skips = 0
    for block in net.blocks:
        dilation = block.gate.window.dilation
        gates = correlate(h, block.gate.weight, dilation=dilation, padding="causal") + block.gate.bias
        filtered, gate = np.split(gates, 2, axis=-1)
        z = everywhere(block.out, np.tanh(filtered) / (1 + np.exp(-gate)))
        h, skips = h + z[:, : h.shape[1]], skips + z[:, h.shape[1] :]
    return everywhere(net.leave, np.maximum(everywhere(net.mix, np.maximum(skips, 0)), 0))


@pytest.mark.parametrize(("kernel", "dilations"), [(2, (1, 2)), (3, (2,))])
def test_layer(kernel: int, dilations: tuple[int, ...]) -> None:
    net = WaveNet(2, 3, residual=3, skip=4, dilations=dilations, kernel_size=kernel, key=jax.random.key(0))
    check_layer(net, (draw(9, 2),), reference)


@pytest.mark.parametrize(("kernel", "dilations", "field"), [(2, (1, 2, 4), 8), (3, (1, 2, 1), 9)])
def test_receptive_field(kernel: int, dilations: tuple[int, ...], field: int) -> None:
    """The last output sees exactly so many entries, and no output sees a later one."""
    net = WaveNet(1, 1, residual=4, dilations=dilations, kernel_size=kernel, key=jax.random.key(1))
    assert net.receptive_field == field
    x = draw(field + 3, 1)
    sees = np.asarray(jax.jit(jax.jacobian(lambda x: net(x)[:, 0]))(x)[..., 0])
    assert sees[-1, 3:].all()
    assert not sees[-1, :3].any()
    assert not np.triu(sees, 1).any()


def generated(net: WaveNet, x: jax.Array) -> jax.Array:
    return lax.scan(lambda memory, entry: net.step(memory, entry), net.memory(), x)[1]


@pytest.mark.parametrize("kernel", [2, 3])
def test_steps_give_what_the_whole_gives(kernel: int) -> None:
    net = WaveNet(2, 3, residual=4, dilations=(1, 2, 4), kernel_size=kernel, key=jax.random.key(2))
    xs = draw(3, 20, 2)  # three sequences, longer than any ring
    assert_close(generated(net, xs[0]), net(xs[0]))
    assert_close(jax.vmap(lambda x: generated(net, x))(xs), jax.vmap(net)(xs))


def test_a_step_does_not_grow_with_the_past() -> None:
    """Its memory is as large as the receptive field, whatever has been generated."""
    net = WaveNet(1, 1, residual=2, dilations=(1, 2, 4, 8), key=jax.random.key(0))
    assert sum(ring.shape[0] for ring in net.memory().rings) == net.receptive_field - 1
    flops = [
        jax.jit(lambda m, x, n=n: n.step(m, x)).lower(n.memory(), jnp.zeros(1)).compile().cost_analysis()
        for n in (net, WaveNet(1, 1, residual=2, dilations=(64, 128, 256, 512), key=jax.random.key(0)))
    ]
    assert flops[1]["flops"] < 1.5 * flops[0]["flops"]


def test_members() -> None:
    """A population of stacks, each with weights of its own, steps as each alone."""
    make = lambda key: WaveNet(1, 1, residual=3, dilations=(1, 2), key=key)  # noqa: E731
    keys = jax.random.split(jax.random.key(0), 3)
    nets, x = eqx.filter_vmap(make)(keys), draw(6, 1)
    together = eqx.filter_vmap(generated, in_axes=(eqx.if_array(0), None))(nets, x)
    for i, key in enumerate(keys):
        assert_close(together[i], make(key)(x))


KEY = jax.random.key(0)
REFUSED = {
    "WaveNet: dilations is empty, expected one per block": lambda: WaveNet(1, 1, dilations=(), key=KEY),
    "WaveNet: kernel_size must be at least 2 to see the past, got 1": lambda: WaveNet(
        1, 1, kernel_size=1, key=KEY
    ),
    "Conv1d: dilation must be at least 1, got 0": lambda: WaveNet(1, 1, dilations=(1, 0), key=KEY),
    "WaveNet: input has shape (5, 3), expected (length, 2)": lambda: WaveNet(2, 1, key=KEY)(
        jnp.zeros((5, 3))
    ),
    "WaveNet.step: input has shape (3,), expected (2)": lambda: WaveNet(2, 1, key=KEY).step(
        WaveNet(2, 1, key=KEY).memory(), jnp.zeros(3)
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_bad_input(message: str) -> None:
    with pytest.raises(UsageError) as refused:
        REFUSED[message]()
    assert str(refused.value) == message
