"""A small U-Net that is told the time, as a setting."""

import itertools
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.core.settings import Settings, setting
from populace.nn.attention.multi_head import MultiHeadAttention
from populace.nn.conv.convolution import Conv2d
from populace.nn.modules.group_norm import GroupNorm
from populace.nn.modules.residual import ResidualBlock, upsample, zeroed
from populace.nn.modules.time_embedding import sinusoidal


class SelfAttention(eqx.Module):
    """`y = x + attention(norm(x))` over all positions of an image; costs O((height width)^2)."""

    norm: GroupNorm
    attention: MultiHeadAttention

    def __init__(self, channels: int, groups: int, heads: int, *, key: jax.Array) -> None:
        self.norm = GroupNorm(channels, groups)
        self.attention = MultiHeadAttention(channels, heads, key=key)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map (height, width, channels) to the same shape."""
        tokens = self.norm(x).reshape(-1, x.shape[-1])
        return x + self.attention(tokens).reshape(x.shape)


class UNetModule(eqx.Module):
    """Residual blocks down, at the bottom, and up, where each also takes what lay there on the way down."""

    time: eqx.nn.MLP
    label: eqx.nn.Linear | None
    enter: Conv2d
    down: tuple[tuple[ResidualBlock, ...], ...]
    halve: tuple[Conv2d, ...]
    bottom: tuple[Any, ...]
    up: tuple[tuple[ResidualBlock, ...], ...]
    double: tuple[Conv2d, ...]
    norm: GroupNorm
    leave: Conv2d
    embedding: int = eqx.field(static=True)

    def __call__(self, x: jax.Array, time: jax.Array, condition: jax.Array) -> jax.Array:
        """Map an image (height, width, channels) to the same shape.

        Args:
            x: the image.
            time: a scalar from 0 to 1,000.
            condition: (classes,), one at the class; zeros for an image of no class.

        """
        c = self.time(sinusoidal(time, self.embedding))
        if self.label is not None:
            c = c + self.label(condition)
        c = jax.nn.silu(c)
        h = self.enter(x)
        kept = []
        for i, blocks in enumerate(self.down):
            if i:
                h = self.halve[i - 1](h)
            for block in blocks:
                h = block(h, c)
                kept.append(h)
        for layer in self.bottom:
            h = layer(h, c) if isinstance(layer, ResidualBlock) else layer(h)
        for i, blocks in enumerate(self.up):
            if i:
                h = self.double[i - 1](upsample(h))
            for block in blocks:
                h = block(jnp.concatenate([h, kept.pop()], -1), c)
        return self.leave(jax.nn.silu(self.norm(h)))


class UNet(Settings):
    """A plan of a U-Net: residual blocks at each resolution, halved between them, and the same upwards.

    The time is embedded by sines, passed through a perceptron, and added in every block; so is the class,
    where the model is told of it. The last convolution starts at zero.

    Sources: Ronneberger et al. 2015, "U-Net"; Ho et al. 2020, "Denoising Diffusion Probabilistic Models".
    """

    kind: ClassVar[str] = "unet"
    channels: tuple[int, ...] = setting((32, 64), low=1, help="channels at each resolution; halved between")
    blocks: int = setting(1, low=1, help="residual blocks at each resolution, each way")
    groups: int = setting(8, low=1, help="groups of the normalization; must divide all channels")
    attention: bool = setting(False, help="self-attention at the lowest resolution")
    heads: int = setting(4, low=1, help="heads of that attention")

    def build(self, shape: tuple[int, ...], classes: int, *, key: jax.Array) -> UNetModule:
        """Return the network.

        Args:
            shape: (height, width, channels) of an image.
            classes: classes that it is told of; 0 for none.
            key: of the initial weights.

        Raises:
            UsageError: images that cannot be halved so often, or channels that do not divide into the groups.

        """
        self.check_shape(shape)
        keys = (jax.random.fold_in(key, i) for i in itertools.count())
        first, last, size = self.channels[0], self.channels[-1], 4 * self.channels[0]
        pairs = list(itertools.pairwise(self.channels))

        def level(inputs: int, outputs: int, skip: int) -> tuple[ResidualBlock, ...]:
            sizes = [inputs, *[outputs] * self.blocks]
            return tuple(
                ResidualBlock(a + skip, b, self.groups, size, key=next(keys))
                for a, b in itertools.pairwise(sizes)
            )

        attention = [SelfAttention(last, self.groups, self.heads, key=next(keys))] if self.attention else []
        bottom = [ResidualBlock(last, last, self.groups, size, key=next(keys)) for _ in range(2)]
        return UNetModule(
            time=eqx.nn.MLP(2 * first, size, size, 1, jax.nn.silu, key=next(keys)),
            label=eqx.nn.Linear(classes, size, use_bias=False, key=next(keys)) if classes else None,
            enter=Conv2d(shape[2], first, 3, padding="same", key=next(keys)),
            down=tuple(level(a, a, 0) for a in self.channels),
            halve=tuple(Conv2d(a, b, 3, 2, "same", key=next(keys)) for a, b in pairs),
            bottom=(bottom[0], *attention, bottom[1]),
            up=tuple(level(a, a, a) for a in self.channels[::-1]),
            double=tuple(Conv2d(b, a, 3, padding="same", key=next(keys)) for a, b in pairs[::-1]),
            norm=GroupNorm(first, self.groups),
            leave=zeroed(Conv2d(first, shape[2], 3, padding="same", key=next(keys))),
            embedding=2 * first,
        )

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise a `UsageError` unless images have three axes, and can be halved between all resolutions."""
        if len(shape) != 3:
            raise UsageError(f"a U-Net takes images (height, width, channels); examples have shape {shape}")
        times = len(self.channels) - 1
        if shape[0] % 2**times or shape[1] % 2**times:
            raise UsageError(
                f"images of {shape[0]} x {shape[1]} pixels cannot be halved {times} times; "
                "give network.channels fewer entries, or pad the images"
            )
