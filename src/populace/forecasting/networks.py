"""Networks of forecasters as settings: from a window of history to numbers for each step."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.settings import Settings, setting
from populace.nn.conv.wavenet import WaveNet as WaveNetLayer
from populace.nn.modules.activations import ACTIVATIONS
from populace.nn.primitives.dense import dense
from populace.nn.recurrent.layers import GRU, LSTM, Elman, Recurrent


class ForecastNetwork(Settings):
    """A plan of a network."""

    @abstractmethod
    def build(self, window: int, horizon: int, size: int, *, key: jax.Array) -> Any:
        """Return a module from a history (window,) to so many numbers of each step, (horizon * size,)."""


class LinearNetwork(ForecastNetwork):
    """`y = W x + b`; with histories centered by their last observation it is NLinear (Zeng et al. 2023).

    Weights begin at 1 / window, as published: every step is the mean of the history at first. A small random
    part makes members differ.
    """

    kind: ClassVar[str] = "linear"
    init_std: float = setting(0.01, low=0, help="standard deviation of the random part of initial weights")

    def build(self, window: int, horizon: int, size: int, *, key: jax.Array) -> Any:
        """Return the layer."""
        return _mean_layer(window, horizon * size, self.init_std, key)


class DLinear(ForecastNetwork):
    """`y = W_t m(x) + W_s (x - m(x)) + b`, with m the moving average over `kernel_size` steps, ends repeated.

    Source: A. Zeng, M. Chen, L. Zhang, Q. Xu (2023), Are transformers effective for time series forecasting?
    """

    kind: ClassVar[str] = "dlinear"
    kernel_size: int = setting(25, low=1, help="steps of the moving average, odd")
    init_std: float = setting(0.01, low=0, help="standard deviation of the random part of initial weights")

    def build(self, window: int, horizon: int, size: int, *, key: jax.Array) -> Any:
        """Return the two layers."""
        trend, season = jax.random.split(key)
        layers = [_mean_layer(window, horizon * size, self.init_std, k) for k in (trend, season)]
        return _DLinear(layers[0], layers[1], self.kernel_size)


class ForecastMLP(ForecastNetwork):
    """A multilayer perceptron over the window."""

    kind: ClassVar[str] = "mlp"
    hidden_sizes: tuple[int, ...] = setting((64, 64), low=1, help="units of each hidden layer")
    activation: str = setting("relu", choices=tuple(ACTIVATIONS), help="hidden activation")

    def build(self, window: int, horizon: int, size: int, *, key: jax.Array) -> Any:
        """Return the network."""
        sizes = (window, *self.hidden_sizes, horizon * size)
        return perceptron(sizes, self.activation, key=key)


class RecurrentNetwork(ForecastNetwork):
    """A recurrent network that reads the window step by step, and a dense layer on its last output."""

    kind: ClassVar[str] = "recurrent"
    cell: str = setting("lstm", choices=("lstm", "gru", "rnn"), help="kind of recurrent cell")
    hidden_size: int = setting(32, low=1, help="units of the hidden state")
    layers: int = setting(1, low=1, help="stacked recurrent layers")

    def build(self, window: int, horizon: int, size: int, *, key: jax.Array) -> Any:
        """Return the network."""
        del window
        body, head = jax.random.split(key)
        layer: type[Recurrent] = {"lstm": LSTM, "gru": GRU, "rnn": Elman}[self.cell]
        recurrent = layer(1, self.hidden_size, layers=self.layers, last=True, key=body)
        return _Recurrent(recurrent, DenseLayer(self.hidden_size, horizon * size, key=head))


class WaveNet(ForecastNetwork):
    """Dilated causal convolutions (van den Oord et al. 2016), and a dense layer on the last step's output."""

    kind: ClassVar[str] = "wavenet"
    channels: int = setting(16, low=1, help="residual, skip and output channels")
    layers: int = setting(5, low=1, help="blocks; block i has the dilation 2^i")

    def build(self, window: int, horizon: int, size: int, *, key: jax.Array) -> Any:
        """Return the network."""
        del window
        body, head = jax.random.split(key)
        dilations = tuple(2**i for i in range(self.layers))
        layer = WaveNetLayer(
            1, self.channels, residual=self.channels, skip=self.channels, dilations=dilations, key=body
        )
        return _LastStep(layer, DenseLayer(self.channels, horizon * size, key=head))


def perceptron(sizes: Sequence[int], activation: str, *, key: jax.Array) -> "Perceptron":
    """Return dense layers of such sizes, inputs first."""
    keys = jax.random.split(key, len(sizes))
    layers = [DenseLayer(a, b, key=k) for a, b, k in zip(sizes, sizes[1:], keys)]
    return Perceptron(layers, activation)


def with_features(body: Any, window: int, features: int, outputs: int, hidden: int, key: jax.Array) -> Any:
    """Return a network that reads exogenous numbers behind the history, (window + features,), as well.

    What it adds to the body's outputs begins at 0: a linear map of the exogenous numbers, or with `hidden`
    units a perceptron of one hidden layer that sees the history too, so that both may act together.
    """
    first, second = jax.random.split(key)
    last = eqx.nn.Linear(hidden or features, outputs, use_bias=False, key=second)
    last = eqx.tree_at(lambda layer: layer.weight, last, jnp.zeros_like(last.weight))
    layers = [eqx.nn.Linear(window + features, hidden, key=first), last] if hidden else [last]
    return _WithFeatures(body, Perceptron(layers, "relu"), window)


class _WithFeatures(eqx.Module):
    body: Any
    effect: Any
    window: int = eqx.field(static=True)

    def __call__(self, x: jax.Array) -> jax.Array:
        read = x if len(self.effect.layers) > 1 else x[self.window :]
        return self.body(x[: self.window]) + self.effect(read)


class _DLinear(eqx.Module):
    trend: eqx.nn.Linear
    season: eqx.nn.Linear
    kernel_size: int = eqx.field(static=True)

    def __call__(self, x: jax.Array) -> jax.Array:
        before = (self.kernel_size - 1) // 2
        ends = jnp.concatenate(
            [jnp.repeat(x[:1], before), x, jnp.repeat(x[-1:], self.kernel_size - 1 - before)]
        )
        trend = jnp.convolve(ends, jnp.full(self.kernel_size, 1 / self.kernel_size), "valid")
        return self.trend(trend) + self.season(x - trend)


class Perceptron(eqx.Module):
    """Dense layers with an activation between them."""

    layers: Sequence[eqx.nn.Linear]
    activation: str = eqx.field(static=True)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the outputs, (sizes[-1],)."""
        for layer in self.layers[:-1]:
            x = ACTIVATIONS[self.activation](layer(x))
        return self.layers[-1](x)


class DenseLayer(eqx.nn.Linear):
    """`y = W x + b`, by the kernel of dense layers where there is one."""

    def __init__(self, inputs: int, outputs: int, *, key: jax.Array) -> None:
        """Draw weights and biases as `eqx.nn.Linear` does."""
        super().__init__(inputs, outputs, key=key)

    def __call__(self, x: jax.Array, *, key: Any = None) -> jax.Array:
        """Return the outputs, (out_features,), of x (in_features,)."""
        assert self.bias is not None
        return dense(x, self.weight, self.bias)


class _Recurrent(eqx.Module):
    recurrent: Recurrent
    head: eqx.nn.Linear

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.head(self.recurrent(x[:, None]))


class _LastStep(eqx.Module):
    body: WaveNetLayer
    head: eqx.nn.Linear

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.head(jax.nn.relu(self.body(x[:, None])[-1]))


def _mean_layer(window: int, outputs: int, deviation: float, key: jax.Array) -> eqx.nn.Linear:
    """Return a layer whose outputs are the mean of the inputs, but for some noise."""
    layer = eqx.filter_eval_shape(DenseLayer, window, outputs, key=key)
    weight = 1 / window + deviation * jax.random.normal(key, (outputs, window))
    return eqx.tree_at(lambda n: (n.weight, n.bias), layer, (weight, jnp.zeros(outputs)))
