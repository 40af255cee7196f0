"""Masked convolution: every output depends only on earlier pixels in raster order, and on earlier colors.

Van den Oord et al. 2016, "Pixel recurrent neural networks" (PixelCNN).
"""

import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np

from populace.core.errors import UsageError, unknown
from populace.nn.conv.convolution import convolve
from populace.nn.conv.initializers import uniform_init
from populace.nn.conv.lowering import check_lowering
from populace.nn.conv.window import Window, check_channels

MASKS = ("A", "B")


class MaskedConv(eqx.Module):
    """Convolution whose output at a position depends only on positions before it, in raster order.

    `y[i, o] = bias[o] + sum_k sum_c x[i + k, c] weight[k, c, o] mask[k, c, o]`, k counted from the center of
    the kernel. The mask is 1 where k precedes the center. At the center it is 1 where the color of c precedes
    that of o (mask A, for the first layer, which must not see what it predicts), or also where it is the same
    (mask B, for all other layers). Channels form equal consecutive blocks, one per color, red first.

    Rows after the center would be masked entirely and are not stored: the weight has only `kernel_size // 2 +
    1` rows. The output has the spatial shape of the input, (*spatial, out_channels). Cost `O(positions * K /
    2 * Cin * Cout)`.

    Weight and bias are initialized uniformly in `[-1/sqrt(fan_in), 1/sqrt(fan_in)]`, where `fan_in` is the
    average number of unmasked inputs of an output.

    Args:
        spatial: number of spatial axes.
        in_channels: Cin, a multiple of `colors`.
        out_channels: Cout, a multiple of `colors`.
        kernel_size: size of the kernel, odd; one number, or one per axis.
        mask: `"A"` or `"B"`.
        colors: components of a pixel, predicted one after another: 3 for RGB, 1 for grayscale.
        lowering: as in [`convolve`][populace.nn.convolve].
        key: PRNG key for the initial weights.

    Raises:
        UsageError: an even kernel, an unknown mask, channels not divisible by `colors`, or an input that is
            not (*spatial, Cin).

    References:
        Van den Oord et al. 2016, "Pixel recurrent neural networks", section 3.4.

    """

    weight: jax.Array
    bias: jax.Array
    kernel_size: tuple[int, ...] = eqx.field(static=True)
    mask: str = eqx.field(static=True)
    colors: int = eqx.field(static=True)
    lowering: str = eqx.field(static=True)

    def __init__(
        self,
        spatial: int,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        mask: str,
        colors: int = 1,
        lowering: str = "auto",
        *,
        key: jax.Array,
    ) -> None:
        name = type(self).__name__
        check_channels(name, in_channels, out_channels, 1)
        if mask not in MASKS:
            raise unknown("mask", mask, MASKS, where=f" of {name}")
        if colors < 1 or in_channels % colors or out_channels % colors:
            raise UsageError(
                f"{name}: {in_channels} input and {out_channels} output channels are not divisible by "
                f"{colors} colors"
            )
        self.kernel_size = Window.of(name, spatial, kernel_size).size
        if not all(k % 2 for k in self.kernel_size):
            raise UsageError(f"{name}: kernel size must be odd, got {self.kernel_size}")
        self.mask, self.colors = mask, colors
        self.lowering = check_lowering(name, lowering)
        first, *others = self.kernel_size
        shape = (first // 2 + 1, *others, in_channels, out_channels)
        seen = visible(shape, mask, colors)
        fan_in = max(1.0, seen.sum() / out_channels)
        self.weight, self.bias = uniform_init(key, shape, out_channels, fan_in)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map (*spatial, Cin) to (*spatial, Cout)."""
        first, *others = (k // 2 for k in self.kernel_size)
        return convolve(
            x,
            self.weight * visible(self.weight.shape, self.mask, self.colors),
            self.bias,
            padding=[(first, 0), *((k, k) for k in others)],
            lowering=self.lowering,
            layer=type(self).__name__,
        )


class MaskedConv1d(MaskedConv):
    """[`MaskedConv`][populace.nn.MaskedConv] over (length, channels)."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(1, *arguments, **options)


class MaskedConv2d(MaskedConv):
    """[`MaskedConv`][populace.nn.MaskedConv] over (height, width, channels)."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(2, *arguments, **options)


def visible(shape: tuple[int, ...], mask: str, colors: int) -> np.ndarray:
    """Return the mask of a weight (*kernel, Cin, Cout) that has no rows after its center."""
    *kernel, inputs, outputs = shape
    middle = (kernel[0] - 1, *(k // 2 for k in kernel[1:]))
    before = np.arange(math.prod(kernel)) < np.ravel_multi_index(middle, kernel)
    seen = np.broadcast_to(before.reshape(*kernel, 1, 1), shape).astype(np.float32)
    source = np.arange(inputs)[:, None] * colors // inputs
    target = np.arange(outputs) * colors // outputs
    seen[middle] = source < target if mask == "A" else source <= target
    return seen
