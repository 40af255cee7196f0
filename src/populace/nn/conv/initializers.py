"""Initial weights of convolutions."""

import math

import jax


def uniform_init(
    key: jax.Array, shape: tuple[int, ...], outputs: int, fan_in: float
) -> tuple[jax.Array, jax.Array]:
    """Return a weight of that shape and a bias (outputs,), uniform in `[-1/sqrt(fan_in), 1/sqrt(fan_in)]`."""
    bound = 1 / math.sqrt(fan_in)
    weight_key, bias_key = jax.random.split(key)
    weight = jax.random.uniform(weight_key, shape, minval=-bound, maxval=bound)
    return weight, jax.random.uniform(bias_key, (outputs,), minval=-bound, maxval=bound)
