"""Networks as settings: from coordinates of many points at once to fields, features first."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.settings import Settings, setting

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {"tanh": jnp.tanh, "sin": jnp.sin}


class PINNetwork(Settings):
    """What kind of network stands for the fields; a subclass with a `kind` is one of your own."""

    @abstractmethod
    def build(self, low: np.ndarray, high: np.ndarray, fields: int, *, key: jax.Array, dtype: Any) -> Any:
        """Return a module from points (d, n) to fields (k, n).

        Args:
            low: smallest coordinates of the domain, (d,).
            high: largest ones.
            fields: how many fields.
            key: for its weights.
            dtype: of its weights.

        """


class Dense(eqx.Module):
    """An affine map of features: (in, n) -> (out, n)."""

    weight: jax.Array
    bias: jax.Array

    def __init__(self, inputs: int, outputs: int, key: jax.Array, dtype: Any) -> None:
        # Drawn in float32, so that networks of both precisions begin alike.
        scale = np.sqrt(2.0 / (inputs + outputs))
        self.weight = (scale * jax.random.normal(key, (outputs, inputs), jnp.float32)).astype(dtype)
        self.bias = jnp.zeros((outputs,), dtype)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return W x + b for every column."""
        return self.weight @ x + self.bias[:, None]


class Scaled(eqx.Module):
    """Coordinates to [-1, 1], by the bounds of the domain."""

    center: tuple[float, ...] = eqx.field(static=True)
    half: tuple[float, ...] = eqx.field(static=True)

    def __init__(self, low: np.ndarray, high: np.ndarray) -> None:
        self.center = tuple(((low + high) / 2).tolist())
        self.half = tuple(((high - low) / 2).tolist())

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return scaled coordinates, (d, n)."""
        center, half = (jnp.asarray(v, x.dtype)[:, None] for v in (self.center, self.half))
        return (x - center) / half


class _Perceptron(eqx.Module):
    scaled: Scaled
    layers: tuple[Dense, ...]
    activation: str = eqx.field(static=True)

    def __call__(self, x: jax.Array) -> jax.Array:
        act = ACTIVATIONS[self.activation]
        h = self.scaled(x)
        for layer in self.layers[:-1]:
            h = act(layer(h))
        return self.layers[-1](h)


class MLP(PINNetwork):
    """Fully connected layers of a smooth activation; coordinates are scaled to [-1, 1].

    Weights are normal with variance 2 / (inputs + outputs) (Glorot and Bengio 2010), biases zero.
    """

    kind: ClassVar[str] = "mlp"

    hidden_sizes: tuple[int, ...] = setting((20, 20, 20), low=1, help="units of each hidden layer")
    activation: str = setting("tanh", choices=("tanh", "sin"), help="hidden activation, a smooth one")

    def build(self, low: np.ndarray, high: np.ndarray, fields: int, *, key: jax.Array, dtype: Any) -> Any:
        """Return the layers."""
        return _Perceptron(
            Scaled(low, high), dense((len(low), *self.hidden_sizes, fields), key, dtype), self.activation
        )


def dense(sizes: tuple[int, ...], key: jax.Array, dtype: Any) -> tuple[Dense, ...]:
    """Return affine maps from each size to the next."""
    keys = jax.random.split(key, len(sizes) - 1)
    return tuple(Dense(a, b, k, dtype) for a, b, k in zip(sizes, sizes[1:], keys))
