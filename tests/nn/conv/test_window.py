"""The geometry of a window: what the names of paddings mean, and which numbers are refused."""

import math

import jax
import numpy as np
import pytest

from populace.nn.conv.convolution import Conv, Conv1d, Conv2d, convolve
from populace.nn.conv.window import Window
from tests.nn.conv.formula import draw, pads_of
from tests.nn.draws import filled
from tests.nn.harness import check_refused


@pytest.mark.parametrize("padding", ["valid", "same", "causal", 2, [(1, 3)]], ids=str)
def test_places_are_all_that_fit_and_the_adjoint_knows_them(padding) -> None:
    fitting = 0
    for n, kernel, stride, dilation in np.ndindex(10, 5, 4, 3):
        n, kernel, stride, dilation = n + 1, kernel + 1, stride + 1, dilation + 1
        ((low, high),) = pads_of((n,), (kernel,), (stride,), (dilation,), padding)
        window = Window.of("test", 1, kernel, stride, dilation, padding)
        places = list(range(0, n + low + high - (kernel - 1) * dilation, stride))
        if not places:
            continue
        fitting += 1
        assert window.pads((n,)) == ((low, high),)
        assert window.outputs((n,)) == (len(places),)
        assert window.inputs((len(places),), n) == (n,)
        if padding in ("same", "causal"):
            assert len(places) == math.ceil(n / stride)
            assert window.inputs((len(places),)) == (len(places) * stride,)
        elif (largest := (len(places) - 1) * stride + (kernel - 1) * dilation + 1 - low - high) > 0:
            assert window.inputs((len(places),)) == (largest,)
    assert fitting > 200


@pytest.mark.parametrize(("n", "kernel", "stride", "dilation"), [(7, 3, 1, 1), (8, 4, 3, 2), (5, 2, 2, 1)])
def test_a_causal_convolution_sees_the_present_and_never_the_future(
    n: int, kernel: int, stride: int, dilation: int
) -> None:
    weight, options = draw(kernel, 1, 1), {"stride": stride, "dilation": dilation}
    for name in ("same", "causal"):
        y = jax.eval_shape(lambda x, name=name: convolve(x, weight, padding=name, **options), draw(n, 1))
        assert y.shape == (math.ceil(n / stride), 1)
    sees = jax.jit(jax.jacobian(lambda x: convolve(x, weight, padding="causal", **options)[:, 0]))(draw(n, 1))
    for i, row in enumerate(np.asarray(sees)[..., 0]):
        assert row[i * stride] != 0, "the present is seen"
        assert not row[i * stride + 1 :].any(), "the future is not"


KEY = jax.random.key(0)
REFUSED = {
    "Conv2d: input of spatial size (4, 2) is smaller than its kernel (3, 3)": lambda: Conv2d(
        1, 1, 3, key=KEY
    )(np.zeros((4, 2, 1))),
    "Conv1d: input of spatial size (2,) padded to (4,) is smaller than its kernel (3,) spanning (5,)": (
        lambda: Conv1d(1, 1, 3, dilation=2, padding=1, key=KEY)(np.zeros((2, 1)))
    ),
    "Conv2d: stride must be at least 1, got (1, 0)": lambda: Conv2d(1, 1, 3, stride=(1, 0), key=KEY),
    "Conv2d: dilation must be at least 1, got 0": lambda: Conv2d(1, 1, 3, dilation=0, key=KEY),
    "Conv2d: kernel size must be at least 1, got -1": lambda: Conv2d(1, 1, -1, key=KEY),
    "Conv2d: kernel size must be one number or 2, got (3, 3, 3)": lambda: Conv2d(1, 1, (3, 3, 3), key=KEY),
    "Conv2d: stride must be whole numbers, got 1.5": lambda: Conv2d(1, 1, 3, stride=1.5, key=KEY),
    "Conv: expected at least 1 spatial axis, got 0": lambda: Conv(0, 1, 1, 3, key=KEY),
    "Conv2d: padding must be at least 0, got -1": lambda: Conv2d(1, 1, 3, padding=-1, key=KEY),
    "Conv2d: padding must be at least 0, got (1, -1)": lambda: Conv2d(1, 1, 3, padding=[1, (1, -1)], key=KEY),
    "Conv1d: padding must have one entry per spatial axis (1), got (1, 2)": lambda: Conv1d(
        1, 1, 3, padding=(1, 2), key=KEY
    ),
    "unknown padding 'sane' of Conv2d; did you mean 'same'?": lambda: Conv2d(
        1, 1, 3, padding="sane", key=KEY
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_bad_input(message: str) -> None:
    check_refused(REFUSED[message], message)


def test_bad_input_is_refused_outside_of_a_trace() -> None:
    layer = filled(lambda key: Conv2d(1, 1, 3, key=key))
    with pytest.raises(Exception, match="smaller than its kernel") as refused:
        layer(np.zeros((4, 2, 1)))
    assert type(refused.value).__name__ == "UsageError"
