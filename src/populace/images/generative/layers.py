"""Layers that models of images share."""

import equinox as eqx
import jax

from populace.nn.conv.transposed import ConvTranspose2d


class Enlarge(eqx.Module):
    """A transposed convolution to a height and width that are given: twice the input's, or one less."""

    conv: ConvTranspose2d
    size: tuple[int, int] = eqx.field(static=True)

    def __init__(
        self, inputs: int, outputs: int, kernel: int, size: tuple[int, int], use_bias: bool = True, *,
        key: jax.Array,
    ) -> None:  # fmt: skip
        self.conv = ConvTranspose2d(inputs, outputs, kernel, 2, "same", use_bias=use_bias, key=key)
        self.size = size

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map (height, width, inputs) to (*size, outputs)."""
        return self.conv(x, self.size)
