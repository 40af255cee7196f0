"""Policies: networks that give a distribution over actions, discrete or continuous, and value networks.

Continuous actions. The network thinks in units of the box: -1 and 1 are its bounds. What it draws is
Gaussian and may lie outside; it is clipped to the bounds when it is applied, and its probability is that of
what was drawn. So the gradient is that of a Gaussian policy whose environment clips, with no correction of
the density as squashing would need, and bounds of 0.01 or of 100 are learned alike. A part of the box that is
not bounded on both sides keeps the environment's own units.
"""

import itertools
import math
from itertools import pairwise
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.outline import Step, chained
from populace.rl.environments import Task

ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu, "elu": jax.nn.elu, "silu": jax.nn.silu}
_LOG_2_PI = math.log(2 * math.pi)


class Affine(eqx.Module):
    """`W h + b`: one layer of a `Network`, as its `wiring` has it."""

    weight: jax.Array
    bias: jax.Array


class Network(eqx.Module):
    """A multilayer perceptron over any number of leading axes: (..., inputs) to (..., outputs).

    `h_0 = x; h_i = activation(W_i h_{i-1} + b_i); y = W_n h_{n-1} + b_n`

    Inside, features come first and all other axes last: then the gradient of W is a product along rows of
    both factors, `ct h^T`, which needs no copy of either.

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
        activate = ACTIVATIONS[self.activation]
        h = x.reshape(-1, x.shape[-1]).T
        for W, b in zip(self.weights[:-1], self.biases[:-1]):
            h = activate(W @ h + b[:, None])
        y = self.weights[-1] @ h + self.biases[-1][:, None]
        return y.T.reshape(*x.shape[:-1], y.shape[0])


def orthogonal(key: jax.Array, rows: int, columns: int) -> jax.Array:
    """Return a matrix whose rows, or columns where they are fewer, are orthonormal; all directions alike.

    A Gaussian matrix is made orthogonal line by line (Gram-Schmidt, every line twice: Giraud et al. 2005).
    LAPACK's factorisation, which `jax.random.orthogonal` calls, can wait for itself for ever when two CPU
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


class Categorical(eqx.Module):
    """Probabilities of A actions, `softmax(logits)`; logits are (..., A)."""

    logits: jax.Array

    def log_probability(self, action: jax.Array) -> jax.Array:
        """Return `logits[action] - log sum exp(logits)` of whole numbers (...)."""
        chosen = jax.nn.one_hot(action, self.logits.shape[-1])  # gathers are slow in loops on CPU
        return jnp.sum(chosen * jax.nn.log_softmax(self.logits), axis=-1)

    def entropy(self) -> jax.Array:
        """Return `-sum_a p(a) log p(a)`, (...), in nats."""
        log_p = jax.nn.log_softmax(self.logits)
        return -jnp.sum(jnp.exp(log_p) * log_p, axis=-1)

    def mode(self) -> jax.Array:
        """Return the likeliest action (...); of several, the first."""
        return jnp.argmax(self.logits, axis=-1)

    def sample(self, noise: jax.Array) -> jax.Array:
        """Return actions (...) drawn by standard Gumbel noise (..., A): `argmax(logits + noise)`."""
        return jnp.argmax(self.logits + noise, axis=-1)


class Gaussian(eqx.Module):
    """A normal distribution with independent parts: mean (..., D), logarithms of the deviations (D,)."""

    mean: jax.Array
    log_deviation: jax.Array

    def log_probability(self, action: jax.Array) -> jax.Array:
        """Return `-sum_d (z_d^2 / 2 + log s_d + log(2 pi) / 2)`, (...), for z = (action - mean) / s."""
        z = (action - self.mean) * jnp.exp(-self.log_deviation)
        return -jnp.sum(0.5 * z**2 + self.log_deviation + 0.5 * _LOG_2_PI, axis=-1)

    def entropy(self) -> jax.Array:
        """Return `sum_d (log s_d + (1 + log(2 pi)) / 2)`, (...), in nats."""
        each = jnp.sum(self.log_deviation + 0.5 * (1 + _LOG_2_PI))
        return jnp.broadcast_to(each, self.mean.shape[:-1])

    def mode(self) -> jax.Array:
        """Return the mean."""
        return self.mean

    def sample(self, noise: jax.Array) -> jax.Array:
        """Return actions drawn by standard normal noise (..., D): `mean + s noise`."""
        return self.mean + jnp.exp(self.log_deviation) * noise


class Policy(eqx.Module):
    """A network whose outputs are logits, or means beside deviations that no observation changes."""

    network: Network
    log_deviation: jax.Array | None
    """Logarithms of the standard deviations (D,), in units of the box; None where actions are discrete."""

    def __init__(
        self, task: Task, hidden: tuple[int, ...], activation: str, deviation: Any, key: jax.Array
    ) -> None:
        """Make the policy of a task; `deviation` is what a continuous one starts from."""
        outputs = task.actions or math.prod(task.action_shape)
        self.network = Network(features(task), hidden, outputs, 0.01, activation, key)
        self.log_deviation = None if task.actions else jnp.full(outputs, jnp.log(deviation))

    def __call__(self, x: jax.Array) -> Categorical | Gaussian:
        """Return the distribution given features (..., inputs)."""
        outputs = self.network(x)
        if self.log_deviation is None:
            return Categorical(outputs)
        return Gaussian(outputs, self.log_deviation)

    def noise(self, key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """Return what `sample` needs for so many actions, all drawn at once: `(*shape, outputs)`."""
        draw = jax.random.gumbel if self.log_deviation is None else jax.random.normal
        return draw(key, (*shape, self.network.biases[-1].shape[0]))


def features(task: Task) -> int:
    """Return how many numbers a network is given of an observation."""
    return task.states or math.prod(task.observation_shape)


def flat(task: Task, observation: jax.Array) -> jax.Array:
    """Return observations (..., *shape) as features (..., F); a state that is a number becomes one-hot."""
    if task.states:
        return jax.nn.one_hot(observation, task.states)
    lead = observation.shape[: observation.ndim - len(task.observation_shape)]
    return observation.reshape(*lead, features(task)).astype(jnp.float32)


def applied(task: Task, action: jax.Array) -> jax.Array:
    """Return what the environment is given for drawn actions: (...), or (..., D) in units of the box."""
    if task.box is None:
        return action
    low, high = (np.asarray(bound, np.float32) for bound in task.box)
    bounded = np.isfinite(low) & np.isfinite(high)
    bottom, top = np.where(bounded, low, -1.0), np.where(bounded, high, 1.0)
    centre, half = top / 2 + bottom / 2, top / 2 - bottom / 2
    shaped = action.reshape(*action.shape[:-1], *task.action_shape)
    return jnp.clip(centre + half * shaped, low, high)
