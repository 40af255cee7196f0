"""Losses: what is minimized, element by element, so that whoever calls them decides what to average over.

Optax's where it has them. Each takes arrays with N examples in front.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from populace.core.errors import UsageError

Array = jax.Array | np.ndarray
Loss = Callable[[jax.Array, jax.Array], jax.Array]
"""From outputs (N, K) and what they should be to the loss of each example (N,), or of each output (N, K)."""


def cross_entropy(logits: Array, labels: Array, smoothing: Array | float = 0.0) -> jax.Array:
    """Return per example `-sum_c q_c log softmax(logits)_c`, shape (N,), in nats.

    q is one at the label, softened: `(1 - smoothing) onehot + smoothing / C` (Szegedy et al. 2016).
    """
    logits = jnp.asarray(logits)
    logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    log_probabilities = jax.nn.log_softmax(logits)
    # A product with one-hot labels, not a gather: its gradient would be a scatter, slow on CPU.
    target = jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    target = (1 - smoothing) * target + smoothing / logits.shape[-1]
    # A class that is ruled out by a logit of -inf costs nothing where nothing is asked of it: 0 log 0 = 0.
    return -jnp.sum(target * jnp.where(target > 0, log_probabilities, 0.0), axis=-1)


def absolute_error(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Return `|f - y|` of each output."""
    return jnp.abs(outputs - targets)


REGRESSION: dict[str, Loss] = {"mse": optax.squared_error, "mae": absolute_error, "huber": optax.huber_loss}
"""Losses of numbers by the names that settings know them by."""


def per_output(losses: jax.Array, outputs: jax.Array) -> jax.Array:
    """Return the loss of each output, (N, K).

    Raises:
        UsageError: a loss of the user's own that has another shape.

    """
    if losses.shape != outputs.shape:
        raise UsageError(f"loss_fn returned an array of shape {losses.shape}, expected {outputs.shape}")
    return losses


def per_example(losses: jax.Array, outputs: jax.Array) -> jax.Array:
    """Return the loss of each example, (N,): of several outputs the mean.

    Raises:
        UsageError: a loss of the user's own that has another shape than (N,) or that of the outputs.

    """
    if losses.shape == outputs.shape[:1]:
        return losses
    if losses.shape != outputs.shape:
        expected = f"{outputs.shape[:1]} or {outputs.shape}"
        raise UsageError(f"loss_fn returned an array of shape {losses.shape}, expected {expected}")
    return jnp.mean(losses, axis=-1)
