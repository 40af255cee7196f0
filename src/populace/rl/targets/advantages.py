"""Advantages: how much better actions turned out than the policy does on average.

Arrays are (steps, environments), of a rollout in which a copy whose episode is over starts the next one.
Nothing may leak from one episode into the one before it:

- terminated: nothing follows, so nothing is added;
- over without being terminated (truncated by the clock): the episode would have gone on, and the value of
  what was seen *before* the restart stands for what would have followed (Pardo et al. 2018);
- the last step of the rollout: the value of what is seen next, likewise.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Number = jax.Array | float

_UNROLL = 16


def discounted_returns(
    reward: jax.Array, terminated: jax.Array, over: jax.Array, next_value: jax.Array, discount: Number
) -> jax.Array:
    """Return the discounted sum of the rewards from each step on, O(steps).

        G_t = r_t                               terminated
        G_t = r_t + discount next_value_t       truncated, or the last step
        G_t = r_t + discount G_{t+1}            otherwise

    Args:
        reward: r_t.
        terminated: whether the episode ended, and nothing can follow.
        over: whether it was terminated or truncated.
        next_value: value of what was seen after the step, before any restart.
        discount: per step.

    """
    cut = over.at[-1].set(True)
    first = reward + discount * jnp.where(cut & ~terminated, next_value, 0.0)
    return _backward(first, discount * ~cut)


def generalised_advantages(
    reward: jax.Array,
    terminated: jax.Array,
    over: jax.Array,
    value: jax.Array,
    next_value: jax.Array,
    discount: Number,
    gae_lambda: Number,
) -> jax.Array:
    """Return generalised advantage estimates (Schulman et al. 2016, equation 16), O(steps).

        delta_t = r_t + discount (1 - terminated_t) next_value_t - value_t
        A_t = delta_t + discount gae_lambda (1 - over_t) A_{t+1}

    With `gae_lambda` 0 that is the error of one step, with 1 the discounted return less the value.

    Args:
        reward: r_t.
        terminated: whether the episode ended, and nothing can follow.
        over: whether it was terminated or truncated.
        value: value of what was seen before the step.
        next_value: value of what was seen after it, before any restart.
        discount: per step.
        gae_lambda: weight of longer sums, in [0, 1].

    """
    delta = reward + discount * jnp.where(terminated, 0.0, next_value) - value
    return _backward(delta, discount * gae_lambda * ~over)


def standardised(x: jax.Array, weight: jax.Array | None = None) -> jax.Array:
    """Return `(x - mean) / (deviation + 1e-8)`, over all entries or those whose weight is 1 and not 0."""
    weight = jnp.ones_like(x) if weight is None else weight
    count = weight.sum()
    mean = jnp.sum(weight * x) / count
    deviation = jnp.sqrt(jnp.sum(weight * (x - mean) ** 2) / count)
    return (x - mean) / (deviation + 1e-8)


def _backward(first: jax.Array, factor: jax.Array) -> jax.Array:
    """Return `x_t = first_t + factor_t x_{t+1}`, with nothing behind the last."""

    def step(following: jax.Array, now: Any) -> tuple[jax.Array, jax.Array]:
        x = now[0] + now[1] * following
        return x, x

    start = jnp.zeros_like(first[0])
    return lax.scan(step, start, (first, factor), reverse=True, unroll=_UNROLL)[1]
