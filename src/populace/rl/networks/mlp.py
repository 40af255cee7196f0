"""Multilayer perceptrons over any number of leading axes, with orthogonal initial weights."""

import itertools
import math
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.model.outline import Step, chained
from populace.nn.modules.activations import ACTIVATIONS
from populace.nn.primitives.dense import FUSED, dense


class Affine(eqx.Module):
    """`W h + b`: one layer of a `Network`, as its `wiring` has it."""

    weight: jax.Array
    bias: jax.Array


class Network(eqx.Module):
    """A multilayer perceptron over any number of leading axes: (..., inputs) to (..., outputs).

    `h_0 = x; h_i = activation(W_i h_{i-1} + b_i); y = W_n h_{n-1} + b_n`

    Weights start orthogonal, scaled by sqrt(2) in the hidden layers and by `gain` in the last, biases at 0,
    as in the reference implementation of PPO (Saxe et al. 2014; Andrychowicz et al. 2021 measured that a
    small last layer of the policy helps).
    """

    weights: list[jax.Array]
    biases: list[jax.Array]
    activation: str = eqx.field(static=True)

    def __init__(
        self, inputs: int, hidden: tuple[int, ...], outputs: int, gain: float, activation: str, key: jax.Array
    ) -> None:
        """Make a network with hidden layers of those widths and an `activation` of `ACTIVATIONS`."""
        sizes = (inputs, *hidden, outputs)
        gains = [math.sqrt(2)] * len(hidden) + [gain]
        keys = jax.random.split(key, len(gains))
        self.weights = [g * orthogonal(k, o, i) for g, k, (i, o) in zip(gains, keys, pairwise(sizes))]
        self.biases = [jnp.zeros(n) for n in sizes[1:]]
        self.activation = activation

    def wiring(self) -> list[Step]:
        """Return the layers: weights and biases belong together, and the activation stands between them."""
        pairs = [Affine(W, b) for W, b in zip(self.weights, self.biases)]
        activations = [ACTIVATIONS[self.activation]] * (len(pairs) - 1)
        layers = [*itertools.chain(*zip(pairs, activations)), pairs[-1]]
        return chained((str(i), layer) for i, layer in enumerate(layers))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map (..., inputs) to (..., outputs)."""
        fused = self.activation if self.activation in FUSED else "none"
        for W, b in zip(self.weights[:-1], self.biases[:-1]):
            x = dense(x, W, b, fused)
            if fused != self.activation:
                x = ACTIVATIONS[self.activation](x)
        return dense(x, self.weights[-1], self.biases[-1])


def orthogonal(key: jax.Array, rows: int, columns: int) -> jax.Array:
    """Return a matrix whose rows, or columns where they are fewer, are orthonormal; all directions alike.

    A Gaussian matrix is made orthogonal line by line (Gram-Schmidt, every line twice: Giraud et al. 2005).
    LAPACK's factorization, which `jax.random.orthogonal` calls, can wait for itself for ever when two CPU
    devices run it at once.
    """
    if rows > columns:
        return orthogonal(key, columns, rows).T
    drawn = jax.random.normal(key, (rows, columns))

    def add(i: jax.Array, done: jax.Array) -> jax.Array:
        line = jax.lax.dynamic_index_in_dim(drawn, i, keepdims=False)
        for _ in range(2):  # lines of `done` from i on are 0
            line = line - (done @ line) @ done
        line = line / jnp.linalg.norm(line)
        return jax.lax.dynamic_update_index_in_dim(done, line, i, 0)

    return jax.lax.fori_loop(0, rows, add, jnp.zeros((rows, columns)))
