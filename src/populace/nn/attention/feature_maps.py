"""Feature maps of linear attention: `phi(q) . phi(k)` replaces `exp(q . k / sqrt(d))`.

`elu + 1` is by Katharopoulos et al. 2020, "Transformers are RNNs", arXiv:2006.16236; ReLU and random
features are by Choromanski et al. 2021, "Rethinking Attention with Performers", arXiv:2009.14794.
"""

from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.nn.primitives.buffer import Buffer


class FeatureMap(eqx.Module):
    """A map phi from vectors to nonnegative features, such that `phi(q) . phi(k)` is the weight of a key."""

    @abstractmethod
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the features, (n, f), of (n, d)."""

    def scaled(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return features (n, f) and logarithms (n,), where `phi(x_i) = features_i exp(logarithm_i)`.

        For maps that grow exponentially, whose features would overflow otherwise.
        """
        return self(x), jnp.zeros(len(x), x.dtype)


class EluFeatures(FeatureMap):
    """`phi(x) = elu(x) + 1`: `x + 1` above zero and `exp(x)` below; d features."""

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the features, (n, d), of (n, d)."""
        return _elu_plus_one(x, jnp.zeros((), x.dtype))

    def scaled(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return features whose maximum is at least 1, and the logarithms of the scales."""
        highest = jax.lax.stop_gradient(jnp.minimum(jnp.max(x, axis=1), 0))
        return _elu_plus_one(x, highest[:, None]), highest


def _elu_plus_one(x: jax.Array, logarithm: jax.Array) -> jax.Array:
    """Return `(elu(x) + 1) / exp(logarithm)`; the logarithm is 0 where an x is positive.

    `elu` itself, `exp(x) - 1` below zero, would lose small values to cancellation when 1 is added again.
    """
    return jnp.where(x > 0, x + 1, jnp.exp(jnp.minimum(x, 0) - logarithm))


class ReluFeatures(FeatureMap):
    """`phi(x) = max(x, 0)`; d features. A query whose weights are all zero gets zeros."""

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the features, (n, d), of (n, d)."""
        return jax.nn.relu(x)


class RandomFeatures(FeatureMap):
    r"""Positive random features, an unbiased estimate of softmax's weights (FAVOR+).

        phi(x) = exp(w_i . x' - |x'|^2 / 2) / sqrt(f),  i = 1 .. f,      x' = x / d^(1/4)
        E[phi(q) . phi(k)] = exp(q . k / sqrt(d))

    Each w_i is standard normal; with `orthogonal`, the directions within each block of d are orthogonal,
    which keeps the mean and reduces the variance. Relative to its squared mean, the variance of one weight is
    `(exp(|q' + k'|^2) - 1) / f` for independent w_i: it falls with f, but grows exponentially with the norm
    of queries and keys, so keep these small (by normalization, or small initial weights).

    The directions are a buffer: drawn once, and not learned. Cost `O(n d f)`.

    Args:
        width: d.
        features: f.
        orthogonal: whether to draw orthogonal directions, in blocks of d.
        key: PRNG key for the directions.

    Raises:
        UsageError: a size below 1, or an input of another width.

    """

    directions: Buffer

    def __init__(self, width: int, features: int, *, orthogonal: bool = True, key: jax.Array) -> None:
        if width < 1 or features < 1:
            raise UsageError(
                f"RandomFeatures: width is {width} and features {features}, expected at least 1 of each"
            )
        direction_key, length_key = jax.random.split(key)
        directions = jax.random.normal(length_key, (features, width))
        if orthogonal:
            blocks = jax.random.normal(direction_key, (-(-features // width), width, width))
            rotation, upper = jnp.linalg.qr(blocks)
            # With these signs the rotations are uniformly distributed (Haar).
            rotation = rotation * jnp.sign(jnp.diagonal(upper, axis1=1, axis2=2))[:, None, :]
            lengths = jnp.linalg.norm(directions, axis=1, keepdims=True)
            directions = rotation.swapaxes(1, 2).reshape(-1, width)[:features] * lengths
        self.directions = Buffer(directions)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the features, (n, f), of (n, d)."""
        features, logarithm = self.scaled(x)
        return features * jnp.exp(logarithm)[:, None]

    def scaled(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return features whose maximum is `1 / sqrt(f)`, and the logarithms of the scales."""
        features, width = self.directions.value.shape
        if x.ndim != 2 or x.shape[1] != width:
            raise UsageError(f"RandomFeatures: input has shape {x.shape}, expected (length, {width})")
        x = x / width**0.25
        directions = jax.lax.stop_gradient(self.directions.value)
        exponent = x @ directions.T - jnp.sum(x**2, axis=1, keepdims=True) / 2
        highest = jax.lax.stop_gradient(jnp.max(exponent, axis=1))
        return jnp.exp(exponent - highest[:, None]) / features**0.5, highest
