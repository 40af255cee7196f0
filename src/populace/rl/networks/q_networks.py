"""Networks of action values: perceptron or convolution, dueling streams, noisy layers, distributions."""

import math
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.core.model.outline import Step, chained
from populace.nn import Conv2d
from populace.nn.primitives.dense import dense
from populace.rl.spaces import scaled
from populace.rl.task import Task

_KERNEL = 3


class NoisyLinear(eqx.Module):
    """A linear layer whose weights are drawn anew for each forward pass (Fortunato et al. 2018).

    `y = (mu_W + sigma_W * f(e_out) f(e_in)^T) x + mu_b + sigma_b * f(e_out)` with
    `f(e) = sign(e) sqrt(|e|)` and e standard Gaussian: factorized noise, of which one draw serves a whole
    batch. Without e the noise is left out: the mean of the layer.

    mu starts uniform in `±1/sqrt(inputs)`, sigma at `sigma / sqrt(inputs)`.

    Args:
        inputs: size of x.
        outputs: size of y.
        sigma: how strong the noise is at first; 0.5 in the paper.
        key: randomness of the start.

    """

    weight: jax.Array
    bias: jax.Array
    weight_noise: jax.Array
    bias_noise: jax.Array

    def __init__(self, inputs: int, outputs: int, sigma: jax.Array | float, *, key: jax.Array) -> None:
        bound = 1 / math.sqrt(inputs)
        weight_key, bias_key = jax.random.split(key)
        self.weight = jax.random.uniform(weight_key, (outputs, inputs), minval=-bound, maxval=bound)
        self.bias = jax.random.uniform(bias_key, (outputs,), minval=-bound, maxval=bound)
        self.weight_noise = jnp.full((outputs, inputs), sigma * bound, jnp.float32)
        self.bias_noise = jnp.full((outputs,), sigma * bound, jnp.float32)

    @property
    def draws(self) -> int:
        """Gaussian numbers that one draw of the noise takes: inputs + outputs."""
        return sum(self.weight.shape)

    def __call__(self, x: jax.Array, e: jax.Array | None = None, activation: str = "none") -> jax.Array:
        """Map (inputs,) to (outputs,), with noise where standard Gaussian `e`, (draws,), is given."""
        weight, bias = self.weight, self.bias
        if e is not None:
            inputs = weight.shape[1]
            f = jnp.sign(e) * jnp.sqrt(jnp.abs(e))
            weight = weight + self.weight_noise * jnp.outer(f[inputs:], f[:inputs])
            bias = bias + self.bias_noise * f[inputs:]
        return dense(x, weight, bias, activation)


class QNetwork(eqx.Module):
    """An observation in, what is known of the return of every action out.

    `h = relu(W_k ... relu(W_1 vec(features(x))))`, and from there a linear layer; or, dueling (Wang et al.
    2016), two streams that part before the last hidden layer:
    `Q(s, a) = V(s) + A(s, a) - mean_b A(s, b)`, for each number of a distribution by itself.

    The features are the observation itself, one-hot where it is the number of a state, or a convolution of
    3 x 3 and ReLU over (height, width, channels), as in MinAtar's own agents (Young & Tian 2019).
    """

    convolution: Conv2d | None
    trunk: list[Any]
    advantage: list[Any]
    value: list[Any]
    states: int = eqx.field(static=True)
    actions: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True)
    scale: float = eqx.field(static=True)

    def __init__(
        self,
        task: Task,
        hidden: tuple[int, ...],
        *,
        key: jax.Array,
        channels: int = 0,
        outputs: int = 0,
        dueling: bool = False,
        sigma: jax.Array | float | None = None,
        scale: float = 1.0,
    ) -> None:
        """Make a network for the observations and actions of a task.

        Args:
            task: what it is for.
            hidden: widths of the hidden layers; the last one is there twice if dueling.
            key: randomness of the start.
            channels: of the convolution; 0 for none.
            outputs: numbers per action; 0 for one without an axis of its own.
            dueling: whether value and advantage have streams of their own.
            sigma: strength of the noise of all linear layers; None makes them ordinary ones.
            scale: what observations are multiplied by.

        """
        depths = len(hidden) + 1
        keys = jax.random.split(key, 2 * depths + 1)
        inputs = task.states or math.prod(task.observation_shape)
        self.convolution = None
        if channels:
            height, width, depth = task.observation_shape
            self.convolution = Conv2d(depth, channels, _KERNEL, key=keys[depths])
            inputs = (height - _KERNEL + 1) * (width - _KERNEL + 1) * channels

        def stack(sizes: tuple[int, ...], keys: Any) -> list[Any]:
            if sigma is None:
                return [eqx.nn.Linear(i, o, key=k) for i, o, k in zip(sizes, sizes[1:], keys)]
            return [NoisyLinear(i, o, sigma, key=k) for i, o, k in zip(sizes, sizes[1:], keys)]

        shared = max(len(hidden) - 1, 0)
        sizes = (inputs, *hidden)
        self.trunk = stack(sizes[: shared + 1], keys[:shared])
        self.advantage = stack((*sizes[shared:], task.actions * max(outputs, 1)), keys[shared:depths])
        self.value = stack((*sizes[shared:], max(outputs, 1)), keys[depths + 1 :]) if dueling else []
        self.states, self.actions, self.outputs, self.scale = task.states, task.actions, outputs, scale

    def wiring(self) -> list[Step]:
        """Return the layers: both streams part behind the trunk."""
        steps = chained([("convolution", self.convolution), ("trunk", self.trunk or None)])
        heard = (steps[-1][0],) if steps else ()
        streams = {"advantage": self.advantage, "value": self.value}
        return [*steps, *((name, layers, heard) for name, layers in streams.items() if layers)]

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """Map an observation to (A,), or to (A, outputs) where there are several; a key adds noise."""
        if self.states:
            x = jax.nn.one_hot(x, self.states)
        x = scaled(x, self.scale)
        if self.convolution is not None:
            x = jax.nn.relu(self.convolution(x))
        noise = _draws([*self.trunk, *self.advantage, *self.value], key)
        h = jnp.ravel(x)
        h = _through(self.trunk, h, noise, "relu")
        described = _through(self.advantage, h, noise, "none").reshape(self.actions, -1)
        if self.value:
            described = _through(self.value, h, noise, "none") + described - jnp.mean(described, axis=0)
        return described if self.outputs else described[:, 0]


def convolves(kind: str, task: Task) -> bool:
    """Return whether the network of that kind (`auto`, `mlp`, `conv`) has a convolution for this task.

    Raises:
        UsageError: a convolution was asked for, and the observations are no pictures of at least 3 x 3.

    """
    shape = task.observation_shape
    fits = len(shape) == 3 and min(shape[:2]) >= _KERNEL
    if kind == "conv" and not fits:
        raise UsageError(
            f"network 'conv' needs observations of (height, width, channels), at least 3 x 3; those of "
            f"environment '{task.name}' have the shape {shape}; use network 'mlp'"
        )
    return fits and kind != "mlp"


def _draws(layers: list[Any], key: jax.Array | None) -> Iterator[jax.Array | None]:
    """Return the noise of one layer after the other, all of it drawn at once; None without a key."""
    if key is None:
        return iter([None] * len(layers))
    ends = list(accumulate(layer.draws for layer in layers))
    # What a loop gives is worked out once. Without one, XLA on CPU would fuse the drawing into the weights,
    # and draw each number again for every weight that it scales.
    half = -(-ends[-1] // 2)
    drawn = jax.lax.map(lambda k: jax.random.normal(k, (half,)), jax.random.split(key))
    return iter(jnp.split(jnp.ravel(drawn)[: ends[-1]], ends[:-1]))


def _through(layers: list[Any], x: jax.Array, noise: Iterator[jax.Array | None], last: str) -> jax.Array:
    """Apply layers with ReLU between them, each with the next noise, and an activation behind the last."""
    for i, (layer, e) in enumerate(zip(layers, noise)):
        activation = last if i + 1 == len(layers) else "relu"
        if isinstance(layer, NoisyLinear):
            x = layer(x, e, activation)
        else:
            x = dense(x, layer.weight, layer.bias, activation)
    return x
