"""Networks as settings: from coordinates of many points at once to fields, features first."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.settings import Settings, setting
from populace.physics.geometry.shape import Geometry
from populace.physics.networks.embedding import Coordinates, Embedding

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {"tanh": jnp.tanh, "sin": jnp.sin}


class PINNetwork(Settings):
    """What kind of network stands for the fields; a subclass with a `kind` is one of your own."""

    @abstractmethod
    def build(self, domain: Geometry, fields: int, *, key: jax.Array, dtype: Any) -> Any:
        """Return a module from points (d, n) to fields (k, n).

        Args:
            domain: what the points lie in; it has `names`, `low` and `high` of coordinates.
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


class _Perceptron(eqx.Module):
    embedding: Any
    layers: tuple[Dense, ...]
    activation: str = eqx.field(static=True)

    def __call__(self, x: jax.Array) -> jax.Array:
        act = ACTIVATIONS[self.activation]
        h = self.embedding(x)
        for layer in self.layers[:-1]:
            h = act(layer(h))
        return self.layers[-1](h)


class MLP(PINNetwork):
    """Fully connected layers of a smooth activation.

    Weights are normal with variance 2 / (inputs + outputs) (Glorot and Bengio 2010), biases zero.
    """

    kind: ClassVar[str] = "mlp"

    hidden_sizes: tuple[int, ...] = setting((20, 20, 20), low=1, help="units of each hidden layer")
    activation: str = setting("tanh", choices=("tanh", "sin"), help="hidden activation, a smooth one")
    embedding: Embedding = setting(Coordinates(), help="what the network sees of coordinates")

    def build(self, domain: Geometry, fields: int, *, key: jax.Array, dtype: Any) -> Any:
        """Return the layers."""
        embedding, width = self.embedding.build(domain, jax.random.fold_in(key, 1), dtype)
        layers = dense((width, *self.hidden_sizes, fields), key, dtype)
        return _Perceptron(embedding, layers, self.activation)


class _Modified(eqx.Module):
    embedding: Any
    gates: tuple[Dense, ...]
    layers: tuple[Dense, ...]
    activation: str = eqx.field(static=True)

    def __call__(self, x: jax.Array) -> jax.Array:
        act = ACTIVATIONS[self.activation]
        h = self.embedding(x)
        u, v = (act(gate(h)) for gate in self.gates)
        for layer in self.layers[:-1]:
            z = act(layer(h))
            h = (1 - z) * u + z * v
        return self.layers[-1](h)


class ModifiedMLP(PINNetwork):
    """Fully connected layers, each a mixture of two embeddings of the input.

        U = act(W_u x + b_u),   V = act(W_v x + b_v),   Z = act(W h + b),   h <- (1 - Z) U + Z V

    All hidden layers have the same width. Source: Wang, Teng and Perdikaris 2021, "Understanding and
    mitigating gradient flow pathologies in physics-informed neural networks".
    """

    kind: ClassVar[str] = "modified-mlp"

    hidden_size: int = setting(20, low=1, help="units of every hidden layer")
    hidden_layers: int = setting(3, low=1, help="hidden layers")
    activation: str = setting("tanh", choices=("tanh", "sin"), help="hidden activation, a smooth one")
    embedding: Embedding = setting(Coordinates(), help="what the network sees of coordinates")

    def build(self, domain: Geometry, fields: int, *, key: jax.Array, dtype: Any) -> Any:
        """Return the layers."""
        keys = jax.random.split(key, 4)
        embedding, width = self.embedding.build(domain, keys[0], dtype)
        gates = (
            Dense(width, self.hidden_size, keys[1], dtype),
            Dense(width, self.hidden_size, keys[2], dtype),
        )
        sizes = (width, *[self.hidden_size] * self.hidden_layers, fields)
        return _Modified(embedding, gates, dense(sizes, keys[3], dtype), self.activation)


def dense(sizes: tuple[int, ...], key: jax.Array, dtype: Any) -> tuple[Dense, ...]:
    """Return affine maps from each size to the next."""
    keys = jax.random.split(key, len(sizes) - 1)
    return tuple(Dense(a, b, k, dtype) for a, b, k in zip(sizes, sizes[1:], keys))
