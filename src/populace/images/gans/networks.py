"""Generator and critic as settings: from a latent up to an image, and from an image down to a score."""

import math
from functools import partial
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.core.settings import Settings, setting
from populace.images.generative.layers import Enlarge
from populace.nn.conv.convolution import Conv2d
from populace.nn.modules import sequential
from populace.nn.modules.group_norm import GroupNorm
from populace.nn.modules.sequential import Sequential
from populace.supervised.networks import dense, norm_of

_SLOPE = 0.2
_NORMS = ("none", "batch", "layer")


class Critic(eqx.Module):
    """`f(x, y) = w . phi(x) + b + v_y . phi(x)`, phi by convolutions; the last term only with classes.

    Attributes:
        body: phi, from an image (height, width, channels) of pixels from -1 to 1.
        head: w and b.
        classes: a row v_y for each class, or None.

    Source of the last term: T. Miyato, M. Koyama (2018), cGANs with Projection Discriminator.

    """

    body: Sequential
    head: eqx.nn.Linear
    classes: eqx.nn.Linear | None

    def __call__(self, image: jax.Array, condition: jax.Array) -> jax.Array:
        """Return the score of one image, a scalar; its norms, if any, are those of one image."""
        return self._score(self.body(image), condition)

    def learn(self, images: jax.Array, conditions: jax.Array, key: jax.Array) -> tuple[jax.Array, "Critic"]:
        """Return the scores of a batch in training, (N,), and the critic with updated running statistics."""
        features, body = sequential.learn(self.body, images, key)
        return jax.vmap(self._score)(features, conditions), eqx.tree_at(lambda c: c.body, self, body)

    def _score(self, features: jax.Array, condition: jax.Array) -> jax.Array:
        score = self.head(features)[0]
        return score if self.classes is None else score + condition @ self.classes(features)


class Networks(eqx.Module):
    """A generator, from a latent and a condition to an image of pixels from -1 to 1, and a critic."""

    generator: Sequential
    critic: Critic


class GANNetworks(Settings):
    """A plan of both networks.

    The generator: a dense layer, then transposed convolutions that double height and width, to exactly the
    sizes that the critic has in reverse; tanh at the end. The critic: convolutions of stride 2 with leaky
    ReLU, then a dense layer. Normalization follows every layer but the generator's last and the critic's
    first: `batch` over the batch, `layer` over all positions and channels of one image.

    Source: A. Radford, L. Metz, S. Chintala (2016), Unsupervised Representation Learning with Deep
    Convolutional GANs.
    """

    kind: ClassVar[str] = "convolutional"
    generator_channels: tuple[int, ...] = setting(
        (64, 32), low=1, help="channels of the generator's layers before each doubling of the size"
    )
    critic_channels: tuple[int, ...] = setting((32, 64), low=1, help="channels of the critic's convolutions")
    kernel: int = setting(4, low=2, help="height and width of the kernels")
    generator_norm: str = setting("batch", choices=_NORMS, help="normalization in the generator")
    critic_norm: str = setting("batch", choices=_NORMS, help="normalization in the critic")

    def build(self, shape: tuple[int, ...], latents: int, classes: int, *, key: jax.Array) -> Networks:
        """Return both networks.

        Args:
            shape: (height, width, channels) of an image.
            latents: size of the latent.
            classes: classes that both are told of; 0 for none.
            key: of the initial weights.

        Raises:
            UsageError: images that are not (height, width, channels), or too small to be halved so often.

        """
        first, second = jax.random.split(key)
        return Networks(
            self._generator(shape, latents + classes, first), self._critic(shape, classes, second)
        )

    def _generator(self, shape: tuple[int, ...], inputs: int, key: jax.Array) -> Sequential:
        channels, keys = (
            self.generator_channels,
            iter(jax.random.split(key, len(self.generator_channels) + 1)),
        )
        sizes = _sizes(shape, len(channels))[::-1]
        left, bias = (*sizes[0], channels[0]), self.generator_norm != "batch"
        layers: list[Any] = [dense(inputs, math.prod(left), bias=bias, key=next(keys))]
        layers += [partial(jnp.reshape, shape=left), *_norm(self.generator_norm, channels[0]), jax.nn.relu]
        for i, size in enumerate(sizes[1:]):
            last = i == len(channels) - 1
            outputs = shape[-1] if last else channels[i + 1]
            layers.append(Enlarge(channels[i], outputs, self.kernel, size, last or bias, key=next(keys)))
            layers += [jnp.tanh] if last else [*_norm(self.generator_norm, outputs), jax.nn.relu]
        return Sequential(layers)

    def _critic(self, shape: tuple[int, ...], classes: int, key: jax.Array) -> Critic:
        keys, inputs = iter(jax.random.split(key, len(self.critic_channels) + 2)), shape[-1]
        layers: list[Any] = []
        for i, channels in enumerate(self.critic_channels):
            norm = _norm(self.critic_norm, channels) if i else []
            bias = not i or self.critic_norm != "batch"  # batch normalization would take it off again
            conv = Conv2d(inputs, channels, self.kernel, 2, "same", use_bias=bias, key=next(keys))
            layers += [conv, *norm, partial(jax.nn.leaky_relu, negative_slope=_SLOPE)]
            inputs = channels
        features = math.prod(_sizes(shape, len(self.critic_channels))[-1]) * inputs
        head, rows = dense(features, 1, key=next(keys)), next(keys)
        told = dense(features, classes, bias=False, key=rows) if classes else None
        return Critic(Sequential([*layers, jnp.ravel]), head, told)


def _norm(name: str, channels: int) -> list[Any]:
    """Return the normalization of that name of images (height, width, channels), or none."""
    return [GroupNorm(channels, 1)] if name == "layer" else norm_of(name, channels)


def _sizes(shape: tuple[int, ...], halvings: int) -> list[tuple[int, int]]:
    """Return height and width of an image and after each halving, rounded up."""
    if len(shape) != 3:
        raise UsageError(f"a GAN makes images (height, width, channels); examples have shape {shape}")
    sizes = [(shape[0], shape[1])]
    for _ in range(halvings):
        height, width = sizes[-1]
        if height < 2 and width < 2:
            raise UsageError(
                f"images {shape} cannot be halved {halvings} times; give generator_channels and "
                "critic_channels fewer entries"
            )
        sizes.append((-(-height // 2), -(-width // 2)))
    return sizes
