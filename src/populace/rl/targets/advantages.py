"""Returns and advantages of a rollout.

Arrays are (steps, num_envs). An environment whose episode ends starts the next one at once, so nothing may
leak from one episode into the one before it:

- terminated: the next state has value 0;
- truncated by a time limit: the episode could have continued, so the return is bootstrapped from the value
  of the observation *before* the reset (Pardo et al. 2018);
- the last step of the rollout: bootstrapped from the value of the next observation as well.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Number = jax.Array | float

_UNROLL = 16


def discounted_returns(
    reward: jax.Array, terminated: jax.Array, done: jax.Array, next_value: jax.Array, discount: Number
) -> jax.Array:
    """Return the discounted return from each step on, (steps, num_envs), in O(steps).

        G_t = r_t                               terminated
        G_t = r_t + discount next_value_t       truncated, or the last step
        G_t = r_t + discount G_{t+1}            otherwise

    Args:
        reward: r_t, (steps, num_envs), as all arrays.
        terminated: whether step t reached a terminal state.
        done: whether step t ended the episode: terminated or truncated.
        next_value: value of the observation after step t, before any reset.
        discount: per step.

    """
    cut = done.at[-1].set(True)
    first = reward + discount * jnp.where(cut & ~terminated, next_value, 0.0)
    return _backward(first, discount * ~cut)


def generalized_advantages(
    reward: jax.Array,
    terminated: jax.Array,
    done: jax.Array,
    value: jax.Array,
    next_value: jax.Array,
    discount: Number,
    gae_lambda: Number,
) -> jax.Array:
    """Return generalized advantage estimates (Schulman et al. 2016, equation 16), in O(steps).

        delta_t = r_t + discount (1 - terminated_t) next_value_t - value_t
        A_t = delta_t + discount gae_lambda (1 - done_t) A_{t+1}

    With `gae_lambda` 0 this is the one-step TD error, with 1 the discounted return minus the value.

    Args:
        reward: r_t, (steps, num_envs), as all arrays.
        terminated: whether step t reached a terminal state.
        done: whether step t ended the episode: terminated or truncated.
        value: value of the observation before step t.
        next_value: value of the observation after step t, before any reset.
        discount: per step.
        gae_lambda: lambda, in [0, 1]: 0 has the least variance, 1 the least bias.

    """
    delta = reward + discount * jnp.where(terminated, 0.0, next_value) - value
    return _backward(delta, discount * gae_lambda * ~done)


def standardized(x: jax.Array, weight: jax.Array | None = None) -> jax.Array:
    """Return `(x - mean) / (std + 1e-8)` over all entries, or over those with weight 1 rather than 0.

    Entries that are all equal, a single one among them, give exactly 0.
    """
    # The mean of equal numbers is rounded: their differences from one of them are exactly 0.
    x = x - jnp.ravel(x)[0 if weight is None else jnp.argmax(jnp.ravel(weight) > 0)]
    weight = jnp.ones_like(x) if weight is None else weight
    count = weight.sum()
    mean = jnp.sum(jnp.where(weight > 0, x, 0.0)) / count
    std = jnp.sqrt(jnp.sum(jnp.where(weight > 0, (x - mean) ** 2, 0.0)) / count)
    return (x - mean) / (std + 1e-8)


def _backward(first: jax.Array, factor: jax.Array) -> jax.Array:
    """Return `x_t = first_t + factor_t x_{t+1}`, with 0 after the last step."""

    def step(x_next: jax.Array, now: Any) -> tuple[jax.Array, jax.Array]:
        x = now[0] + now[1] * x_next
        return x, x

    start = jnp.zeros_like(first[0])
    return lax.scan(step, start, (first, factor), reverse=True, unroll=_UNROLL)[1]
