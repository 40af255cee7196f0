"""Convolution against loops over its formula, in every lowering."""

import math
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest

from populace.nn.conv.convolution import Conv, Conv1d, Conv2d, Conv3d, convolve
from tests.nn.conv.formula import LOWERINGS, assert_close, correlate, draw
from tests.nn.draws import filled
from tests.nn.harness import check_layer, check_refused

# (sizes, kernel, in, out) and options: strides, dilations, groups, paddings, even kernels, in 1 to 3 axes
CASES: list[tuple[Any, Any, int, int, dict[str, Any]]] = [
    ((9,), (3,), 2, 3, {}),
    ((9,), (4,), 4, 6, {"stride": 2, "dilation": 2, "groups": 2, "padding": "same"}),
    ((8,), (2,), 3, 2, {"dilation": 3, "padding": "causal"}),
    ((7, 8), (3, 3), 3, 4, {"padding": "same"}),
    ((7, 8), (3, 2), 2, 4, {"stride": (2, 1), "dilation": (1, 2), "padding": "causal", "groups": 2}),
    ((6, 7), (2, 3), 4, 8, {"groups": 4, "stride": (1, 3), "padding": [(1, 2), (4, 0)]}),
    ((6, 5), (1, 1), 3, 2, {"padding": 1}),
    ((4, 5, 6), (2, 3, 2), 2, 4, {"stride": (1, 2, 2), "groups": 2, "padding": "same"}),
    ((4, 4, 5), (2, 2, 3), 2, 3, {"dilation": (1, 2, 1), "padding": [0, 1, (2, 0)]}),
]


@pytest.mark.parametrize(("sizes", "kernel", "ins", "outs", "options"), CASES[1::2], ids=str)
def test_layer(sizes: Any, kernel: Any, ins: int, outs: int, options: Any) -> None:
    layer = filled(lambda key: Conv(len(sizes), ins, outs, kernel, **options, key=key))

    def reference(layer: Any, x: np.ndarray) -> np.ndarray:
        return correlate(x, layer.weight, **options) + layer.bias

    check_layer(layer, (draw(*sizes, ins),), reference, eager=len(sizes) == 1)


@pytest.mark.parametrize(("sizes", "kernel", "ins", "outs", "options"), CASES, ids=str)
def test_lowerings_agree(sizes: Any, kernel: Any, ins: int, outs: int, options: Any) -> None:
    x, weight = draw(2, *sizes, ins), draw(*kernel, ins // options.get("groups", 1), outs)
    expected = np.stack([correlate(e, weight, **options) for e in x])
    cotangent = draw(*expected.shape, seed=1)

    @jax.jit
    def in_every_lowering(x: jax.Array, weight: jax.Array, cotangent: jax.Array) -> dict[str, Any]:
        found = {}
        for name in LOWERINGS:
            one = lambda x, w, name=name: convolve(x, w, lowering=name, **options)  # noqa: E731
            y, adjoint = jax.vjp(jax.vmap(one, (0, None)), x, weight)
            found[name] = (y, *adjoint(cotangent))
        return found

    found = in_every_lowering(x, weight, cotangent)
    for name in LOWERINGS:
        assert_close(found[name][0], expected, name)
        for mine, xla in zip(found[name][1:], found["xla"][1:]):
            assert_close(mine, xla, f"gradient of {name}")


def test_a_kernel_that_swaps_colors() -> None:
    """An RGB picture and a (1, 1, 3, 3) kernel that puts red into blue, and blue into red."""
    picture = draw(4, 5, 3)
    swap = np.eye(3, dtype=np.float32)[::-1].reshape(1, 1, 3, 3)
    np.testing.assert_array_equal(jax.jit(convolve)(picture, swap), picture[..., ::-1])


def test_whole_numbers_become_what_the_weight_is() -> None:
    weight = np.asarray([-1.0, 1.0], np.float32).reshape(2, 1, 1)
    y = jax.jit(convolve)(np.asarray([[1], [2], [4]], np.uint8), weight)
    np.testing.assert_array_equal(y, [[1.0], [2.0]])
    assert y.dtype == np.float32


def test_start() -> None:
    layer = eqx.filter_jit(lambda key: Conv2d(8, 16, 5, groups=2, key=key))(jax.random.key(3))
    bound = 1 / math.sqrt(5 * 5 * 8 / 2)
    assert layer.weight.shape == (5, 5, 4, 16)
    assert 0.98 * bound < np.max(np.abs(layer.weight)) <= bound
    assert layer.bias.shape == (16,)
    assert np.max(np.abs(layer.bias)) <= bound
    assert np.unique(layer.bias).size == 16
    assert filled(lambda key: Conv1d(2, 3, 1, use_bias=False, key=key)).bias is None
    assert filled(lambda key: Conv3d(1, 1, (1, 2, 3), key=key)).weight.shape == (1, 2, 3, 1, 1)


KEY = jax.random.key(0)
REFUSED = {
    "Conv2d: input has shape (28, 28, 3), expected (height, width, 1)": lambda: Conv2d(1, 2, 3, key=KEY)(
        np.zeros((28, 28, 3))
    ),
    "Conv1d: input has shape (4, 5, 2), expected (length, 2)": lambda: Conv1d(2, 2, 3, key=KEY)(
        np.zeros((4, 5, 2))
    ),
    "convolve: input has shape (5,), expected (length, 1)": lambda: convolve(
        np.zeros(5), np.zeros((2, 1, 1))
    ),
    "convolve: weight has shape (3, 3), expected (*kernel, Cin / groups, Cout)": lambda: convolve(
        np.zeros((4, 4)), np.zeros((3, 3))
    ),
    "convolve: bias has shape (3,), expected (2,)": lambda: convolve(
        np.zeros((4, 1)), np.zeros((3, 1, 2)), np.zeros(3)
    ),
    "Conv2d: 3 input and 4 output channels are not divisible by 2 groups": lambda: Conv2d(
        3, 4, 3, groups=2, key=KEY
    ),
    "convolve: 4 input and 3 output channels are not divisible by 2 groups": lambda: convolve(
        np.zeros((5, 4)), np.zeros((2, 2, 3)), groups=2
    ),
    "Conv2d: groups must be at least 1, got 0": lambda: Conv2d(3, 4, 3, groups=0, key=KEY),
    "Conv2d: out_channels must be at least 1, got 0": lambda: Conv2d(3, 0, 3, key=KEY),
    "Conv2d: in_channels must be a whole number, got 3.0": lambda: Conv2d(3.0, 4, 3, key=KEY),
    "Conv2d: in_channels must be a whole number, got 'a'": lambda: Conv2d("a", 4, 3, key=KEY),
    "Conv2d: groups must be a whole number, got 2.0": lambda: Conv2d(2, 4, 3, groups=2.0, key=KEY),
    "unknown lowering 'patch' of Conv2d; did you mean 'patches'?": lambda: Conv2d(
        1, 1, 3, lowering="patch", key=KEY
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_bad_input(message: str) -> None:
    check_refused(REFUSED[message], message)


def test_bad_input_of_a_batch_shows_the_shape_of_an_example() -> None:
    batch = jax.ShapeDtypeStruct((5, 28, 28, 3), np.float32)
    check_refused(
        lambda: jax.eval_shape(jax.vmap(Conv2d(1, 2, 3, key=KEY)), batch),
        "Conv2d: input has shape (28, 28, 3), expected (height, width, 1)",
    )
