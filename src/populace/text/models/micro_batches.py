"""The loss of a batch, whole or part by part: gradients are accumulated over the parts."""

from typing import Any

import jax
import jax.numpy as jnp

from populace.nn.primitives.softmax_loss import softmax_loss


def summed_loss(network: Any, batch: Any, keys: jax.Array, memory: Any, parts: int) -> tuple[jax.Array, Any]:
    """Return the sum of `-log p` over a batch, by weights, and the recurrent state after every row.

    Args:
        network: a language network.
        batch: inputs, targets and weights, each (B, block).
        keys: one for each row.
        memory: recurrent state of each row; None where none is carried.
        parts: how many are computed one after the other; divides B.

    """

    def part(total: jax.Array, given: Any) -> tuple[jax.Array, Any]:
        (inputs, targets, weight), keys, memory = given
        h, after = jax.vmap(network.learn)(inputs, keys, memory)
        after = None if memory is None else after
        flat, (output, bias) = h.reshape(-1, h.shape[-1]), network.readout
        return total + softmax_loss(flat, output, bias, targets.reshape(-1), weight.reshape(-1)), after

    given = (batch, keys, memory)
    if parts == 1:
        return part(jnp.float32(0), given)
    cut = lambda x: x.reshape(parts, -1, *x.shape[1:])  # noqa: E731
    # Computed again for the gradient, so that one part at a time is in memory.
    total, after = jax.lax.scan(jax.checkpoint(part), jnp.float32(0), jax.tree.map(cut, given))
    return total, jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), after)
