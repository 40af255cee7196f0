"""Masked convolution: what it computes, and that nothing sees what comes later."""

import itertools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.nn.conv.masked import MaskedConv, MaskedConv1d, MaskedConv2d
from tests.nn.conv.formula import draw
from tests.nn.draws import filled
from tests.nn.harness import check_layer, check_refused


def reference(layer: Any, x: np.ndarray) -> np.ndarray:
    """Every visible input of every output, one by one."""
    *sizes, ins = x.shape
    outs = layer.weight.shape[-1]
    half = [k // 2 for k in layer.kernel_size]
    y = np.zeros((*sizes, outs)) + layer.bias
    flat = lambda position: np.ravel_multi_index(position, sizes)  # noqa: E731
    for i, j in itertools.product(itertools.product(*map(range, sizes)), repeat=2):
        offset = [b - a + h for a, b, h in zip(i, j, half)]
        if not all(0 <= o < k for o, k in zip(offset, layer.kernel_size)):
            continue
        for c, o in itertools.product(range(ins), range(outs)):
            colors = c * layer.colors // ins, o * layer.colors // outs
            here = colors[0] < colors[1] or (layer.mask == "B" and colors[0] == colors[1])
            if flat(j) < flat(i) or (i == j and here):
                y[i][o] += x[j][c] * layer.weight[(*offset, c, o)]
    return y


CASES = [((5, 4), (3, 3), 3, 6, "A", 3), ((4, 5), (3, 5), 6, 3, "B", 3), ((6,), 5, 1, 2, "A", 1)]


@pytest.mark.parametrize(("sizes", "kernel", "ins", "outs", "mask", "colors"), CASES)
def test_layer(sizes: Any, kernel: Any, ins: int, outs: int, mask: str, colors: int) -> None:
    layer = filled(lambda key: MaskedConv(len(sizes), ins, outs, kernel, mask, colors, key=key))
    check_layer(layer, (draw(*sizes, ins),), reference, eager=len(sizes) == 1)


@pytest.mark.parametrize("colors", [1, 3])
def test_a_stack_sees_only_what_comes_before(colors: int) -> None:
    """A after the input, B after that: the Jacobian in (row, column, color) order is lower triangular."""
    first = filled(lambda key: MaskedConv2d(colors, 2 * colors, 3, "A", colors, key=key))
    second = filled(lambda key: MaskedConv2d(2 * colors, colors, 3, "B", colors, key=key), seed=1)
    x = draw(4, 5, colors)
    n = x.size
    sees = np.asarray(jax.jit(jax.jacobian(lambda x: second(jnp.tanh(first(x)))))(x)).reshape(n, n)
    assert not np.triu(sees).any(), "an output sees itself or what comes later"
    before = np.diagonal(sees, -1)
    if colors == 3:
        assert before[np.arange(n - 1) % 3 != 2].all(), "a color does not see the one before it"
    assert sees[-1, : (4 * 5 - 2) * colors].any()


def test_mask_b_sees_its_own_color() -> None:
    layer = filled(lambda key: MaskedConv1d(3, 3, 3, "B", 3, key=key))
    here = np.asarray(jax.jit(jax.jacobian(layer))(draw(4, 3)))[2, :, 2, :]
    np.testing.assert_array_equal(here != 0, np.tril(np.ones((3, 3), bool)))


def test_start() -> None:
    """The fan-in counts what is seen: 4 of 9 taps, for one color under mask A."""
    layer = eqx.filter_jit(lambda key: MaskedConv2d(16, 32, 3, "A", key=key))(jax.random.key(0))
    assert layer.weight.shape == (2, 3, 16, 32)
    bound = 1 / np.sqrt(4 * 16)
    assert 0.99 * bound < np.max(np.abs(layer.weight)) <= bound


KEY = jax.random.key(0)
REFUSED = {
    "unknown mask 'C' of MaskedConv2d; known: A, B": lambda: MaskedConv2d(1, 1, 3, "C", key=KEY),
    "MaskedConv2d: kernel size must be odd, got (3, 4)": lambda: MaskedConv2d(1, 1, (3, 4), "A", key=KEY),
    "MaskedConv2d: 3 input and 4 output channels are not divisible by 3 colors": lambda: MaskedConv2d(
        3, 4, 3, "A", 3, key=KEY
    ),
    "MaskedConv2d: in_channels must be at least 1, got 0": lambda: MaskedConv2d(0, 4, 3, "A", key=KEY),
    "MaskedConv2d: input has shape (5, 5, 1), expected (height, width, 3)": lambda: MaskedConv2d(
        3, 3, 3, "A", 3, key=KEY
    )(np.zeros((5, 5, 1))),
}


@pytest.mark.parametrize("message", REFUSED)
def test_bad_input(message: str) -> None:
    check_refused(REFUSED[message], message)
