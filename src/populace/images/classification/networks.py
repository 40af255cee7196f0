"""Convolutional networks, as settings."""

from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.core.settings import setting
from populace.nn.conv.convolution import Conv2d
from populace.nn.conv.pooling import max_pool
from populace.nn.modules.activations import ACTIVATIONS
from populace.nn.modules.dropout import Dropout
from populace.nn.modules.group_norm import GroupNorm
from populace.nn.modules.sequential import Sequential
from populace.supervised.networks import NORMS, Network, dense, norm_of


class CNN(Network):
    """A plain convolutional network: blocks of convolution and pooling, followed by dense layers.

    `h_i = drop(pool(act(norm(conv_i(h_{i-1})))))` for each entry of `channels`, with padding that preserves
    height and width; then dense layers as in an MLP.
    """

    kind: ClassVar[str] = "cnn"
    channels: tuple[int, ...] = setting((16, 32), low=1, help="channels of each convolution")
    kernel: int = setting(5, low=1, help="height and width of the kernels")
    pool: int = setting(2, low=1, help="window and stride of max pooling after each convolution; 1 for none")
    hidden_sizes: tuple[int, ...] = setting((64,), low=1, help="units of the dense layers; [] for none")
    activation: str = setting("relu", choices=tuple(ACTIVATIONS), help="hidden activation")
    norm: str = setting("none", choices=NORMS, help="normalization before each activation")
    dropout: float = setting(0.0, low=0, high=0.99, help="dropout rate before each dense layer")
    channel_dropout: float = setting(0.0, low=0, high=0.99, help="dropout rate after each convolution")

    def build(self, inputs: tuple[int, ...], outputs: int, *, key: jax.Array) -> Sequential:
        """Return the network.

        Raises:
            UsageError: inputs that are not (height, width, channels), or too small for the pooling layers.

        """
        if len(inputs) != 3:
            raise UsageError(f"CNN: examples have shape {inputs}, expected (height, width, channels)")
        act, (height, width, size) = ACTIVATIONS[self.activation], inputs
        layers: list[Any] = []
        for i, channels in enumerate(self.channels):
            bias = self.norm != "batch"  # it would cancel a bias, whose gradient would be rounding noise
            own = jax.random.fold_in(key, i)
            conv = Conv2d(size, channels, self.kernel, padding="same", use_bias=bias, key=own)
            # Layer normalization of an image is over its height, width and channels (Wu and He 2018).
            norm = [GroupNorm(channels, 1)] if self.norm == "layer" else norm_of(self.norm, channels)
            layers += [conv, *norm, act]
            if self.pool > 1:
                layers.append(partial(max_pool, size=self.pool))
                height, width = height // self.pool, width // self.pool
            if not height or not width:
                raise UsageError(f"CNN: {len(self.channels)} pools of {self.pool} are too many for {inputs}")
            layers.append(Dropout(self.channel_dropout))
            size = channels
        layers.append(jnp.ravel)
        size *= height * width
        for i, units in enumerate(self.hidden_sizes):
            own = jax.random.fold_in(key, len(self.channels) + i)
            layer = dense(size, units, bias=self.norm != "batch", key=own)
            layers += [Dropout(self.dropout), layer, *norm_of(self.norm, units), act]
            size = units
        last = jax.random.fold_in(key, len(self.channels) + len(self.hidden_sizes))
        return Sequential([*layers, Dropout(self.dropout), dense(size, outputs, key=last)])
