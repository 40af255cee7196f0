"""An exponential moving average of a network's weights, corrected for its start."""

from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.nn.primitives.buffer import trainable


class MovingAverage(eqx.Module):
    """The mean of the networks w_1 ... w_t, of which w_k counts `decay^(t - k)`.

        c <- decay c + (1 - decay), from 0
        a <- a + (1 - decay) / c (w - a)

    That is `m / c` of the usual `m <- decay m + (1 - decay) w`. So the average of a constant is the constant;
    without the division it would begin at zero, or at the random start, for `1 / (1 - decay)` steps.

    Attributes:
        average: a, of every weight; before the first step the network that it was started with.
        total: c, a scalar; `1 - decay^t` where the decay stayed the same.

    Source: Polyak and Juditsky 1992, "Acceleration of Stochastic Approximation by Averaging"; Kingma and Ba
    2015, "Adam", for the correction.

    """

    average: Any
    total: jax.Array

    @classmethod
    def start(cls, network: Any) -> Self:
        """Return the average before the first step."""
        return cls(eqx.filter(network, trainable(network)), jnp.float32(0))

    def after(self, network: Any, decay: Any) -> Self:
        """Return the average with one more network; the decay may be traced."""
        weights, total = eqx.filter(network, trainable(network)), decay * self.total + (1 - decay)
        rate = (1 - decay) / total
        return type(self)(jax.tree.map(lambda a, w: a + rate * (w - a), self.average, weights), total)

    def of(self, network: Any) -> Any:
        """Return the network with averaged weights, and its own buffers."""
        return eqx.combine(self.average, network)
