"""Metrics of predicted numbers."""

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array | np.ndarray


def r2(squared_error: Array, targets: Array, weight: Array | None = None) -> jax.Array:
    """Return `1 - sum w (y - f)^2 / sum w (y - mean y)^2`, averaged over the outputs (the last axis).

    Args:
        squared_error: summed over examples, each times its weight, shape (K,).
        targets: shape (N, K); an output that is constant gives 0 as R2: there is nothing to explain.
        weight: w of each example, (N,), which the mean of y is weighted by too; None if all count the same.

    """
    # The mean of equal numbers is rounded: their differences from one of them are exactly 0.
    targets = targets - targets[:1]
    if weight is None:
        spread = jnp.sum((targets - jnp.mean(targets, 0)) ** 2, axis=0)
    else:
        each = jnp.asarray(weight)[:, None]
        mean = jnp.sum(targets * each, 0) / jnp.sum(each)
        spread = jnp.sum((targets - mean) ** 2 * each, axis=0)
    known = 1 - squared_error / jnp.where(spread > 0, spread, 1.0)
    return jnp.mean(jnp.where(spread > 0, known, 0.0))
