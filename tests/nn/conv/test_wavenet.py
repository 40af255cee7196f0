"""WaveNet against its formula, its past, and itself one step at a time."""

from typing import Any

import jax
import numpy as np
import pytest
from jax import lax

from populace.nn.conv.wavenet import WaveNet
from tests.nn.conv.formula import assert_close, correlate, draw
from tests.nn.draws import filled
from tests.nn.harness import check_layer, check_refused


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
    net = filled(
        lambda key: WaveNet(2, 3, residual=3, skip=4, dilations=dilations, kernel_size=kernel, key=key)
    )
    check_layer(net, (draw(9, 2),), reference)


@pytest.mark.parametrize(("kernel", "dilations", "field"), [(2, (1, 2, 4), 8), (3, (1, 2, 1), 9)])
def test_receptive_field(kernel: int, dilations: tuple[int, ...], field: int) -> None:
    """The last output sees exactly so many entries, and no output sees a later one."""
    net = filled(lambda key: WaveNet(1, 1, residual=4, dilations=dilations, kernel_size=kernel, key=key))
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
    net = filled(lambda key: WaveNet(2, 3, residual=4, dilations=(1, 2, 4), kernel_size=kernel, key=key))

    @jax.jit
    def everything(xs: jax.Array) -> Any:
        stepped = generated(net, xs[0]), jax.vmap(lambda x: generated(net, x))(xs)
        return stepped, (net(xs[0]), jax.vmap(net)(xs))

    (one, batch), (whole, wholes) = everything(draw(3, 20, 2))  # three sequences, longer than any ring
    assert_close(one, whole)
    assert_close(batch, wholes)


def test_a_step_does_not_grow_with_the_past() -> None:
    """Its memory is as large as the receptive field, whatever has been generated."""
    net, far = (
        filled(lambda key, dilations=dilations: WaveNet(1, 1, residual=2, dilations=dilations, key=key))
        for dilations in ((1, 2, 4, 8), (64, 128, 256, 512))
    )
    assert sum(ring.shape[0] for ring in jax.eval_shape(net.memory).rings) == net.receptive_field - 1
    step = jax.jit(lambda net, memory, entry: net.step(memory, entry))
    flops = [step.lower(n, jax.eval_shape(n.memory), draw(1)).compile().cost_analysis() for n in (net, far)]
    assert flops[1]["flops"] < 1.5 * flops[0]["flops"]


def test_members() -> None:
    """A population of stacks, each with weights of its own, steps as each alone."""
    make = lambda key: WaveNet(1, 1, residual=3, dilations=(1, 2), key=key)  # noqa: E731
    nets = [filled(make, seed=seed) for seed in range(3)]
    stacked, x = jax.tree.map(lambda *weights: np.stack(weights), *nets), draw(6, 1)
    together = jax.jit(jax.vmap(generated, (0, None)))(stacked, x)
    alone = jax.jit(lambda net, x: net(x))
    for i, net in enumerate(nets):
        assert_close(together[i], alone(net, x))


KEY = jax.random.key(0)
REFUSED = {
    "WaveNet: dilations is empty, expected one per block": lambda: WaveNet(1, 1, dilations=(), key=KEY),
    "WaveNet: kernel_size must be at least 2 to see the past, got 1": lambda: WaveNet(
        1, 1, kernel_size=1, key=KEY
    ),
    "Conv1d: dilation must be at least 1, got 0": lambda: WaveNet(1, 1, dilations=(1, 0), key=KEY),
    "WaveNet: input has shape (5, 3), expected (length, 2)": lambda: WaveNet(2, 1, key=KEY)(np.zeros((5, 3))),
    "WaveNet.step: input has shape (3,), expected (2)": lambda: WaveNet(2, 1, key=KEY).step(
        WaveNet(2, 1, key=KEY).memory(), np.zeros(3)
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_bad_input(message: str) -> None:
    check_refused(REFUSED[message], message)
