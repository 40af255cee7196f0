"""Encoders and decoders, as settings: from an image to numbers of a latent, and back to logits of pixels."""

import itertools
import math
from abc import abstractmethod
from functools import partial
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.core.settings import Settings, setting
from populace.images.generative.layers import Enlarge
from populace.nn.conv.convolution import Conv2d
from populace.nn.modules.activations import ACTIVATIONS
from populace.nn.modules.sequential import Sequential
from populace.supervised.networks import dense


class EncoderDecoder(eqx.Module):
    """Two networks around a latent, each told the class of an image where the model is conditional.

    A condition is a vector, (classes,), of one at the class; it is empty where there are no classes.
    """

    encoder: Sequential
    decoder: Sequential
    planes: bool = eqx.field(static=True)
    """Whether the encoder sees the class as planes beside the image, as convolutions need it."""

    def encode(self, image: jax.Array, condition: jax.Array) -> jax.Array:
        """Return the encoder's outputs for one image (height, width, channels) of pixels from 0 to 1."""
        condition = condition.astype(image.dtype)
        if condition.size and self.planes:
            planes = jnp.broadcast_to(condition, (*image.shape[:-1], condition.size))
            image = jnp.concatenate([image, planes], -1)
        elif condition.size:
            image = jnp.concatenate([jnp.ravel(image), condition])
        return self.encoder(image)

    def decode(self, latent: jax.Array, condition: jax.Array) -> jax.Array:
        """Return what is said of the pixels, (height, width, planes channels), for one latent (latents,).

        The first `channels` planes are logits of their means.
        """
        return self.decoder(jnp.concatenate([latent, condition.astype(latent.dtype)]))


class AutoencoderNetwork(Settings):
    """A plan of an encoder and a decoder."""

    @abstractmethod
    def build(
        self,
        shape: tuple[int, ...],
        codes: int,
        latents: int,
        classes: int,
        planes: int = 1,
        *,
        key: jax.Array,
    ) -> EncoderDecoder:
        """Return the two networks.

        Args:
            shape: (height, width, channels) of an image.
            codes: outputs of the encoder.
            latents: inputs of the decoder.
            classes: classes that both are told of; 0 for none.
            planes: numbers that the decoder has for each number of an image.
            key: of the initial weights.

        """


class Convolutional(AutoencoderNetwork):
    """Strided convolutions down to the latent, and transposed ones back.

    `h_i = act(conv_i(h_{i-1}))` halves height and width (rounded up) for each entry of `channels`; a dense
    layer makes the latent of what is left. The decoder has the same layers in reverse: dense, then transposed
    convolutions that double height and width to exactly the sizes that the encoder had there.

    Source: A. Radford et al. 2015, "Unsupervised Representation Learning with Deep Convolutional GANs", for
    strides in the place of pooling.
    """

    kind: ClassVar[str] = "convolutional"
    channels: tuple[int, ...] = setting((16, 32), low=1, help="channels of each convolution of stride 2")
    kernel: int = setting(3, low=1, help="height and width of the kernels")
    activation: str = setting("relu", choices=tuple(ACTIVATIONS), help="hidden activation")

    def build(
        self,
        shape: tuple[int, ...],
        codes: int,
        latents: int,
        classes: int,
        planes: int = 1,
        *,
        key: jax.Array,
    ) -> EncoderDecoder:
        """Return the two networks.

        Raises:
            UsageError: images that are not (height, width, channels).

        """
        height, width, pixels = _image(shape)
        act, keys = ACTIVATIONS[self.activation], iter(jax.random.split(key, 2 * len(self.channels) + 2))
        sizes, size, layers = [(height, width)], pixels + classes, []
        for channels in self.channels:
            layers += [Conv2d(size, channels, self.kernel, 2, "same", key=next(keys)), act]
            sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
            size = channels
        left = math.prod(sizes[-1]) * size
        encoder = Sequential([*layers, jnp.ravel, dense(left, codes, key=next(keys))])
        layers = [dense(latents + classes, left, key=next(keys)), act]
        layers.append(partial(jnp.reshape, shape=(*sizes[-1], size)))
        wanted = [planes * pixels, *self.channels[:-1]][::-1]
        for i, (channels, to) in enumerate(zip(wanted, sizes[-2::-1])):
            layers.append(Enlarge(size, channels, self.kernel, to, key=next(keys)))
            layers += [act] if i < len(wanted) - 1 else []
            size = channels
        return EncoderDecoder(encoder, Sequential(layers), planes=True)


class Dense(AutoencoderNetwork):
    """Multilayer perceptrons: `h_i = act(W_i h_{i-1} + b_i)`, and the same sizes in reverse."""

    kind: ClassVar[str] = "dense"
    hidden_sizes: tuple[int, ...] = setting((512, 256), low=1, help="units of the encoder's hidden layers")
    activation: str = setting("relu", choices=tuple(ACTIVATIONS), help="hidden activation")

    def build(
        self,
        shape: tuple[int, ...],
        codes: int,
        latents: int,
        classes: int,
        planes: int = 1,
        *,
        key: jax.Array,
    ) -> EncoderDecoder:
        """Return the two networks."""
        height, width, pixels = _image(shape)
        act, (down, up) = ACTIVATIONS[self.activation], jax.random.split(key)
        inputs = math.prod(shape) + classes
        encoder = [jnp.ravel, *_perceptron((inputs, *self.hidden_sizes, codes), act, down)]
        sizes = (latents + classes, *self.hidden_sizes[::-1], planes * math.prod(shape))
        decoder = [*_perceptron(sizes, act, up), partial(jnp.reshape, shape=(height, width, planes * pixels))]
        return EncoderDecoder(Sequential(encoder), Sequential(decoder), planes=False)


def _perceptron(sizes: tuple[int, ...], act: Any, key: jax.Array) -> list[Any]:
    layers: list[Any] = []
    for i, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        layers += [dense(inputs, outputs, key=jax.random.fold_in(key, i)), act]
    return layers[:-1]


def _image(shape: tuple[int, ...]) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise UsageError(
            f"an autoencoder takes images (height, width, channels); examples have shape {shape}"
        )
    return shape[0], shape[1], shape[2]
