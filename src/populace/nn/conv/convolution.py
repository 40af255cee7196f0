"""Convolution over any number of spatial axes: one function, and the layer around it.

The formula is here; `window.py` holds the geometry, and `lowering.py` the implementations.
"""

import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.nn.conv.correlation import convolution
from populace.nn.conv.initializers import uniform_init
from populace.nn.conv.lowering import Geometry, check_lowering
from populace.nn.conv.window import Padding, Window, check_channels, check_input


def convolve(
    x: jax.Array,
    weight: jax.Array,
    bias: jax.Array | None = None,
    *,
    stride: int | Sequence[int] = 1,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    padding: Padding = "valid",
    lowering: str = "auto",
    layer: str = "convolve",
) -> jax.Array:
    """Convolve an input with a kernel, as deep learning defines it: a cross-correlation.

    `y[i, o] = bias[o] + sum_k sum_c x[i * stride + k * dilation, c] weight[k, c, o]`, the kernel not
    flipped; i and k run over all spatial axes. With groups, the output channels of group g depend only on
    the input channels of group g; a group is a block of consecutive channels.

    Args:
        x: (*spatial, Cin), one example.
        weight: (*kernel, Cin / groups, Cout).
        bias: (Cout,), or none.
        stride: distance between output positions; one number, or one per axis.
        dilation: distance between the elements of the kernel; one number, or one per axis.
        groups: number of channel groups.
        padding: `"valid"`, `"same"`, `"causal"`, a number, or one entry per axis: a number or a pair
            (before, after); see [`Window.of`][populace.nn.conv.window.Window.of].
        lowering: `"native"` (the compiled kernel, on CPU), `"patches"` or `"taps"` (matrix products), `"xla"`
            (XLA's operation), or `"auto"`: on CPU the kernel where it is installed and faster, otherwise the
            cheaper form of matrix products; on other devices `"xla"`. All agree up to rounding while weights
            are finite: an infinite one times a zero of the padding is NaN by some, nothing by others.
        layer: name used in error messages.

    Returns:
        (*positions, Cout), with `floor((n + before + after - (K - 1) dilation - 1) / stride) + 1` positions
        along an axis of n entries. Cost `O(positions * K * Cin / groups * Cout)`, where K is the size of the
        kernel.

    Raises:
        UsageError: invalid shapes, sizes or names; raised before anything is compiled.

    """
    spatial = weight.ndim - 2
    if spatial < 1:
        raise UsageError(f"{layer}: weight has shape {weight.shape}, expected (*kernel, Cin / groups, Cout)")
    check_channels(layer, weight.shape[-2] * groups, weight.shape[-1], groups)
    window = Window.of(layer, spatial, weight.shape[:spatial], stride, dilation, padding)
    check_lowering(layer, lowering)
    return _convolve(x, weight, bias, window, groups, lowering)


class Conv(eqx.Module):
    """Convolution with a learned weight and bias over `spatial` axes, channels last.

    `y[i, o] = bias[o] + sum_k sum_c x[i * stride + k * dilation, c] weight[k, c, o]`; shapes, cost and
    padding as in [`convolve`][populace.nn.convolve].

    Weight and bias are initialized uniformly in `[-1/sqrt(fan_in), 1/sqrt(fan_in)]`, `fan_in = K Cin /
    groups`, the default of PyTorch and Equinox.

    Args:
        spatial: number of spatial axes.
        in_channels: Cin.
        out_channels: Cout.
        kernel_size: size of the kernel; one number, or one per axis.
        stride: distance between output positions.
        padding: zeros around the input.
        dilation: distance between the elements of the kernel.
        groups: number of channel groups.
        use_bias: whether to add a bias.
        lowering: implementation to use.
        key: PRNG key for the initial weights.

    Raises:
        UsageError: invalid sizes, or an input that is not (*spatial, Cin).

    """

    weight: jax.Array
    bias: jax.Array | None
    window: Window = eqx.field(static=True)
    groups: int = eqx.field(static=True)
    lowering: str = eqx.field(static=True)

    def __init__(
        self,
        spatial: int,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: Padding = "valid",
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        use_bias: bool = True,
        lowering: str = "auto",
        *,
        key: jax.Array,
    ) -> None:
        name = type(self).__name__
        check_channels(name, in_channels, out_channels, groups)
        self.window = Window.of(name, spatial, kernel_size, stride, dilation, padding)
        self.groups = groups
        self.lowering = check_lowering(name, lowering)
        shape = (*self.window.size, in_channels // groups, out_channels)
        self.weight, bias = uniform_init(key, shape, out_channels, math.prod(shape[:-1]))
        self.bias = bias if use_bias else None

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map (*spatial, Cin) to (*positions, Cout)."""
        return _convolve(x, self.weight, self.bias, self.window, self.groups, self.lowering)


class Conv1d(Conv):
    """[`Conv`][populace.nn.Conv] over (length, channels); takes its arguments except `spatial`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(1, *arguments, **options)


class Conv2d(Conv):
    """[`Conv`][populace.nn.Conv] over (height, width, channels); takes its arguments except `spatial`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(2, *arguments, **options)


class Conv3d(Conv):
    """[`Conv`][populace.nn.Conv] over (depth, height, width, channels), without `spatial`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(3, *arguments, **options)


def _convolve(
    x: jax.Array, weight: jax.Array, bias: jax.Array | None, window: Window, groups: int, lowering: str
) -> jax.Array:
    channels, outputs = weight.shape[-2] * groups, weight.shape[-1]
    check_input(window.layer, x.shape, len(window.size), channels)
    if bias is not None and bias.shape != (outputs,):
        raise UsageError(f"{window.layer}: bias has shape {bias.shape}, expected ({outputs},)")
    window.pads(x.shape[:-1])  # refuses an input that is smaller than the kernel
    dtype = jnp.result_type(x, weight)
    geometry = Geometry(window, x.shape[:-1], channels, outputs, groups, lowering)
    y = convolution(x.astype(dtype), weight.astype(dtype), geometry)
    return y if bias is None else y + bias
