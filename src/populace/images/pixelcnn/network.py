"""Gated residual PixelCNN: the distribution of every pixel given those before it, by masked convolutions."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.core.settings import Settings, setting
from populace.nn.conv.masked import MaskedConv2d


class GatedBlock(eqx.Module):
    """`y = x + expand(tanh(a) sigmoid(b))`, `a, b = conv(relu(reduce(relu(x)))) + label`, all with mask B.

    `reduce` and `expand` are 1 x 1, from 2 h channels of a color to h and back; `conv` is from h to 2 h.
    """

    reduce: MaskedConv2d
    conv: MaskedConv2d
    expand: MaskedConv2d
    label: eqx.nn.Linear | None

    def __init__(self, hidden: int, kernel: int, colors: int, classes: int, *, key: jax.Array) -> None:
        first, second, third, fourth = jax.random.split(key, 4)
        narrow, wide = colors * hidden, colors * 2 * hidden
        self.reduce = MaskedConv2d(wide, narrow, 1, "B", colors, key=first)
        self.conv = MaskedConv2d(narrow, wide, kernel, "B", colors, key=second)
        self.expand = MaskedConv2d(narrow, wide, 1, "B", colors, key=third)
        self.label = eqx.nn.Linear(classes, wide, use_bias=False, key=fourth) if classes else None

    def told(self, condition: jax.Array) -> jax.Array | float:
        """Return what the class of an image adds before the gates."""
        return 0.0 if self.label is None else self.label(condition)

    def __call__(self, x: jax.Array, condition: jax.Array) -> jax.Array:
        """Map (height, width, channels) to the same shape."""
        h = self.conv(jax.nn.relu(self.reduce(jax.nn.relu(x)))) + self.told(condition)
        return x + self.expand(gated(h, self.conv.colors))


class PixelCNN(eqx.Module):
    """`p(x) = prod_i p(x_i | x_1, ..., x_(i-1))`, pixels in raster order and a pixel's colors in their order.

    A convolution with mask A, gated residual blocks with mask B, and a perceptron at every position. All are
    one stack: what lies in the rows above to the right of the kernels' reach is never seen (the blind spot
    that a second, vertical stack would remove at about twice the cost).

    Sources: A. van den Oord et al. (2016), Pixel Recurrent Neural Networks, for masks and residual blocks;
    A. van den Oord et al. (2016), Conditional Image Generation with PixelCNN Decoders, for gates and labels.
    """

    enter: MaskedConv2d
    blocks: tuple[GatedBlock, ...]
    mix: MaskedConv2d
    leave: MaskedConv2d
    levels: int = eqx.field(static=True)

    def __call__(self, x: jax.Array, condition: jax.Array) -> jax.Array:
        """Return logits (height, width, colors, levels) for levels from -1 to 1, (height, width, colors)."""
        h = self.enter(x)
        for block in self.blocks:
            h = block(h, condition)
        logits = self.leave(jax.nn.relu(self.mix(jax.nn.relu(h))))
        return logits.reshape(*x.shape, self.levels)


class GatedPixelCNN(Settings):
    """A plan of a gated residual PixelCNN."""

    kind: ClassVar[str] = "gated-pixelcnn"
    blocks: int = setting(15, low=0, help="residual blocks")
    hidden: int = setting(16, low=1, help="channels per color inside a block; twice as many between blocks")
    first_kernel: int = setting(7, low=1, help="height and width of the first kernel, odd")
    kernel: int = setting(3, low=1, help="height and width of the kernels of the blocks, odd")

    def build(self, shape: tuple[int, ...], levels: int, classes: int, *, key: jax.Array) -> PixelCNN:
        """Return the network.

        Args:
            shape: (height, width, colors) of an image.
            levels: values of a pixel.
            classes: classes that it is told of; 0 for none.
            key: of the initial weights.

        Raises:
            UsageError: images that are not (height, width, colors), or an even kernel.

        """
        if len(shape) != 3:
            raise UsageError(
                f"a PixelCNN takes images (height, width, channels); examples have shape {shape}"
            )
        colors, keys = shape[2], jax.random.split(key, self.blocks + 3)
        wide = colors * 2 * self.hidden
        return PixelCNN(
            MaskedConv2d(colors, wide, self.first_kernel, "A", colors, key=keys[0]),
            tuple(GatedBlock(self.hidden, self.kernel, colors, classes, key=k) for k in keys[3:]),
            MaskedConv2d(wide, wide, 1, "B", colors, key=keys[1]),
            MaskedConv2d(wide, colors * levels, 1, "B", colors, key=keys[2]),
            levels,
        )


def gated(x: jax.Array, colors: int) -> jax.Array:
    """Return `tanh(a) sigmoid(b)`: a is the first half of each color's channels (last axis), b the second."""
    a, b = jnp.moveaxis(x.reshape(*x.shape[:-1], colors, 2, -1), -2, 0)
    return (jnp.tanh(a) * jax.nn.sigmoid(b)).reshape(*x.shape[:-1], -1)
