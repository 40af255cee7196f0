"""Softmax cross-entropy of a linear layer, over many classes: the logits of a few rows at a time.

The logits of a batch of text over 10,000 words are the largest arrays of its gradient step, and going through
them takes longer than the products. So the loss and its gradients are found together, while the logits of
some rows are in the cache: each is computed once, and its exponential once. As "Cut Your Losses in
Large-Vocabulary Language Models" (Wijmans et al. 2024) does on GPUs.
"""

from typing import Any

import jax
import jax.numpy as jnp

from populace.nn.primitives.member_axis import tie

_AT_ONCE = 2**20
"""Logits at a time; measured on 2 cores with 10,000 classes: 4 times as many take 1.3 times as long."""
_LEAST = 64
"""Rows at a time, at least: products of fewer are slow."""


def softmax_loss(
    h: jax.Array, weight: jax.Array, bias: jax.Array | None, targets: jax.Array, counts: jax.Array
) -> jax.Array:
    """Return the sum of `-log softmax(W h_i + b)[target_i] count_i` over rows i.

    Takes O(n d V) time and O(d V) memory. Has gradients by h, W and b, not by the counts, and no second ones.

    Args:
        h: (n, d).
        weight: (V, d).
        bias: (V,), or None.
        targets: (n,) whole numbers below V.
        counts: (n,), what each row counts.

    """
    given = [jnp.asarray(x, jnp.float32) for x in (h, weight, counts)]
    h, weight, counts, *rest = tie(*given, *([] if bias is None else [jnp.asarray(bias, jnp.float32)]))
    return _loss(h, weight, rest[0] if rest else None, targets, counts)


@jax.custom_vjp
def _loss(h: Any, weight: Any, bias: Any, targets: Any, counts: Any) -> jax.Array:
    return _forward(h, weight, bias, targets, counts)[0]


def _forward(h: Any, weight: Any, bias: Any, targets: Any, counts: Any) -> tuple[jax.Array, Any]:
    n, size = len(h), min(max(_AT_ONCE // len(weight), _LEAST), len(h))
    pieces = -(-n // size)
    fill = lambda x: jnp.pad(x, [(0, pieces * size - n)] + [(0, 0)] * (x.ndim - 1))  # noqa: E731
    cut = lambda x: fill(x).reshape(pieces, size, *x.shape[1:])  # noqa: E731

    def piece(sums: Any, given: Any) -> tuple[Any, jax.Array]:
        total, d_h, d_weight, d_bias = _of_rows(given[0], weight, bias, *given[1:])
        return jax.tree.map(jnp.add, sums, (total, d_weight, d_bias)), d_h

    if pieces == 1:
        total, d_h, d_weight, d_bias = _of_rows(h, weight, bias, targets, counts)
        return total, (d_h, d_weight, d_bias)
    zeros = jax.tree.map(lambda x: tie(jnp.zeros_like(x), x)[0], (counts[0], weight, bias))
    (total, d_weight, d_bias), d_h = jax.lax.scan(piece, zeros, (cut(h), cut(targets), cut(counts)))
    return total, (d_h.reshape(-1, h.shape[1])[:n], d_weight, d_bias)


def _of_rows(h: Any, weight: Any, bias: Any, targets: Any, counts: Any) -> tuple[Any, Any, Any, Any]:
    """Return the loss of some rows, and its gradients by h, W and b."""
    logits = h @ weight.T if bias is None else h @ weight.T + bias
    most = jnp.max(logits, -1, keepdims=True)
    grown = jnp.exp(logits - most)
    total = jnp.sum(grown, -1, keepdims=True)
    # A comparison, not a gather: it is fused with what goes through the logits anyway.
    own = jnp.arange(logits.shape[1]) == targets[:, None]
    nats = jnp.log(total[:, 0]) + most[:, 0] - jnp.sum(jnp.where(own, logits, 0), -1)
    # d loss / d logits = count (softmax - 1 at the target)
    slope = grown * (counts[:, None] / total) - jnp.where(own, counts[:, None], 0)
    d_bias = None if bias is None else jnp.sum(slope, 0)
    return jnp.sum(nats * counts), slope @ weight, slope.T @ h, d_bias


def _backward(found: Any, g: jax.Array) -> tuple[Any, ...]:
    return *jax.tree.map(lambda x: x * g, found), None, None


_loss.defvjp(_forward, _backward)
