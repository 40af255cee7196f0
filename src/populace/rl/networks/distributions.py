"""Distributions over actions: log-probability, entropy, mode and samples."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp

_LOG_2_PI = math.log(2 * math.pi)


class Categorical(eqx.Module):
    """Probabilities of A actions, `softmax(logits)`; logits are (..., A)."""

    logits: jax.Array

    def log_probability(self, action: jax.Array) -> jax.Array:
        """Return `logits[action] - log sum exp(logits)` of whole numbers (...)."""
        # gathers are slow in loops on CPU, and 0 times a logarithm of -inf, of an action ruled out, is NaN
        chosen = jnp.arange(self.logits.shape[-1]) == jnp.asarray(action)[..., None]
        return jnp.sum(jnp.where(chosen, jax.nn.log_softmax(self.logits), 0.0), axis=-1)

    def entropy(self) -> jax.Array:
        """Return `-sum_a p(a) log p(a)`, (...), in nats, where 0 log 0 is 0."""
        log_p = jax.nn.log_softmax(self.logits)
        return -jnp.sum(jnp.exp(log_p) * jnp.where(log_p > -jnp.inf, log_p, 0.0), axis=-1)

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
