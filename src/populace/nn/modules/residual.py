"""A residual block of two convolutions, and nearest-neighbor upsampling."""

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.nn.conv.convolution import Conv2d
from populace.nn.modules.group_norm import GroupNorm


class ResidualBlock(eqx.Module):
    """`y = shortcut(x) + conv(silu(norm(h)))`, `h = conv(silu(norm(x))) + W c`, with c told of the example.

    Convolutions are 3 x 3 with zeros around the input, the shortcut is 1 x 1, or nothing where the channels
    stay. The second convolution starts at zero, so that at first the block is its shortcut.

    Args:
        in_channels: Cin.
        out_channels: Cout.
        groups: of the group normalization; must divide both.
        condition: size of c; 0 for none.
        key: PRNG key for the initial weights.

    Raises:
        UsageError: groups that do not divide the channels.

    Source: He et al. 2016, "Identity Mappings in Deep Residual Networks"; Ho et al. 2020, "Denoising
    Diffusion Probabilistic Models", for the condition.

    """

    first_norm: GroupNorm
    first_conv: Conv2d
    second_norm: GroupNorm
    second_conv: Conv2d
    project: eqx.nn.Linear | None
    shortcut: Conv2d | None

    def __init__(
        self, in_channels: int, out_channels: int, groups: int, condition: int = 0, *, key: jax.Array
    ) -> None:
        first, second, third, fourth = jax.random.split(key, 4)
        self.first_norm = GroupNorm(in_channels, groups)
        self.first_conv = Conv2d(in_channels, out_channels, 3, padding="same", key=first)
        self.second_norm = GroupNorm(out_channels, groups)
        conv = Conv2d(out_channels, out_channels, 3, padding="same", key=second)
        self.second_conv = zeroed(conv)
        self.project = eqx.nn.Linear(condition, out_channels, key=third) if condition else None
        same = in_channels == out_channels
        self.shortcut = None if same else Conv2d(in_channels, out_channels, 1, key=fourth)

    def __call__(self, x: jax.Array, condition: jax.Array | None = None) -> jax.Array:
        """Map (height, width, Cin) and the condition to (height, width, Cout)."""
        h = self.first_conv(jax.nn.silu(self.first_norm(x)))
        if self.project is not None and condition is not None:
            h = h + self.project(condition)
        h = self.second_conv(jax.nn.silu(self.second_norm(h)))
        return h + (x if self.shortcut is None else self.shortcut(x))


def zeroed(layer: Conv2d) -> Conv2d:
    """Return a convolution with weight and bias of zero."""
    return jax.tree.map(jnp.zeros_like, layer)


def upsample(x: jax.Array, factor: int = 2) -> jax.Array:
    """Return (height, width, channels) with every pixel repeated, (factor height, factor width, channels)."""
    height, width, channels = x.shape
    shape = (height, factor, width, factor, channels)
    return jnp.broadcast_to(x[:, None, :, None], shape).reshape(factor * height, factor * width, channels)
