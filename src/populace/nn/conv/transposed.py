"""Transposed convolution: the adjoint of a convolution.

It is also the gradient of a convolution with respect to its input, and shares its implementation.
"""

import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.nn.conv.correlation import transposed_convolution
from populace.nn.conv.initializers import uniform_init
from populace.nn.conv.lowering import Geometry, check_lowering
from populace.nn.conv.window import Padding, Window, check_channels, check_input


def convolve_transposed(
    y: jax.Array,
    weight: jax.Array,
    bias: jax.Array | None = None,
    *,
    stride: int | Sequence[int] = 1,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    padding: Padding = "valid",
    output_size: int | Sequence[int] | None = None,
    lowering: str = "auto",
    layer: str = "convolve_transposed",
) -> jax.Array:
    """Apply the adjoint of [`convolve`][populace.nn.convolve] with the same weight and options.

    `x[j, c] = bias[c] + sum_(i, k: i * stride + k * dilation = j) sum_o y[i, o] weight[k, c, o]`, with j
    counted from the first padded entry, and the padding cropped. Without a bias, `<convolve(x), y> =
    <x, convolve_transposed(y)>` for all x and y.

    Args:
        y: (*positions, Cout), one example: what the convolution would have returned.
        weight: (*kernel, Cin / groups, Cout), the convolution's.
        bias: (Cin,), or none.
        stride: the convolution's; every spatial size grows by this factor.
        dilation: the convolution's.
        groups: the convolution's.
        padding: the convolution's.
        output_size: spatial sizes of the result, any that the convolution maps to `positions`. By default
            `positions * stride` for `"same"` and `"causal"`, otherwise the smallest,
            `(positions - 1) * stride + (K - 1) * dilation + 1 - before - after`.
        lowering: as in `convolve`.
        layer: name used in error messages.

    Returns:
        (*output_size, Cin). Cost `O(positions * K * Cin / groups * Cout)`, the convolution's.

    Raises:
        UsageError: invalid shapes, sizes or names, or an output size that the convolution does
            not map to `positions`.

    References:
        Dumoulin and Visin 2016, "A guide to convolution arithmetic for deep learning".

    """
    spatial = weight.ndim - 2
    if spatial < 1:
        raise UsageError(f"{layer}: weight has shape {weight.shape}, expected (*kernel, Cin / groups, Cout)")
    check_channels(layer, weight.shape[-2] * groups, weight.shape[-1], groups)
    window = Window.of(layer, spatial, weight.shape[:spatial], stride, dilation, padding)
    check_lowering(layer, lowering)
    return _transpose(y, weight, bias, window, groups, output_size, lowering)


class ConvTranspose(eqx.Module):
    """The adjoint of a [`Conv`][populace.nn.Conv] from `out_channels` to `in_channels`, with a bias.

    With `stride=2, padding="same"` it doubles every spatial size. Formula, shapes and cost are those of
    [`convolve_transposed`][populace.nn.convolve_transposed]; the weight has the layout of the
    convolution's, (*kernel, out_channels / groups, in_channels).

    Weight and bias are initialized uniformly in `[-1/sqrt(fan_in), 1/sqrt(fan_in)]`, with `fan_in =
    K in_channels / (groups prod(stride))`: the average number of terms that an output sums.

    Args:
        spatial: number of spatial axes.
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: size of the kernel; one number, or one per axis.
        stride: factor by which every spatial size grows.
        padding: zeros that the convolution adds around its input, cropped here.
        dilation: distance between the elements of the kernel.
        groups: number of channel groups.
        use_bias: whether to add a bias.
        lowering: implementation to use.
        key: PRNG key for the initial weights.

    Raises:
        UsageError: invalid sizes, or an input that is not (*spatial, in_channels).

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
        shape = (*self.window.size, out_channels // groups, in_channels)
        taps = max(1.0, math.prod(self.window.size) / math.prod(self.window.stride))
        self.weight, bias = uniform_init(key, shape, out_channels, taps * in_channels / groups)
        self.bias = bias if use_bias else None

    def __call__(self, x: jax.Array, output_size: int | Sequence[int] | None = None) -> jax.Array:
        """Map (*positions, in_channels) to (*output_size, out_channels)."""
        return _transpose(x, self.weight, self.bias, self.window, self.groups, output_size, self.lowering)


class ConvTranspose1d(ConvTranspose):
    """[`ConvTranspose`][populace.nn.ConvTranspose] over (length, channels)."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(1, *arguments, **options)


class ConvTranspose2d(ConvTranspose):
    """[`ConvTranspose`][populace.nn.ConvTranspose] over (height, width, channels)."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(2, *arguments, **options)


class ConvTranspose3d(ConvTranspose):
    """[`ConvTranspose`][populace.nn.ConvTranspose] over (depth, height, width, channels)."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(3, *arguments, **options)


def _transpose(
    y: jax.Array,
    weight: jax.Array,
    bias: jax.Array | None,
    window: Window,
    groups: int,
    output_size: int | Sequence[int] | None,
    lowering: str,
) -> jax.Array:
    channels, outputs = weight.shape[-1], weight.shape[-2] * groups
    check_input(window.layer, y.shape, len(window.size), channels)
    if bias is not None and bias.shape != (outputs,):
        raise UsageError(f"{window.layer}: bias has shape {bias.shape}, expected ({outputs},)")
    sizes = window.inputs(y.shape[:-1], output_size)
    dtype = jnp.result_type(y, weight)
    geometry = Geometry(window, sizes, outputs, channels, groups, lowering)
    x = transposed_convolution(weight.astype(dtype), y.astype(dtype), geometry)
    return x if bias is None else x + bias
