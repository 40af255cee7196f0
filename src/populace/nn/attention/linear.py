"""Linear attention: the weights of keys are inner products of features, so all queries share one sum.

Katharopoulos et al. 2020, "Transformers are RNNs: Fast Autoregressive Transformers with Linear
Attention", arXiv:2006.16236.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.nn.attention.dot_product import check_inputs, check_mask, spoil, without_unseen
from populace.nn.attention.feature_maps import EluFeatures, FeatureMap

BLOCK = 64


class LinearState(eqx.Module):
    """The running sums of linear attention over all keys and values so far; of constant size.

    Attributes:
        memory: (f, e + 1): sums of `phi(k_j)^T v_j` and, in the last column, of `phi(k_j)`, both times
            `exp(-logarithm)`.
        logarithm: (), the largest log scale of the keys so far.

    """

    memory: jax.Array
    logarithm: jax.Array


def linear_attention(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    feature_map: FeatureMap | None = None,
    *,
    mask: jax.Array | None = None,
    causal: bool = False,
    block: int = BLOCK,
) -> jax.Array:
    r"""Kernelized attention of one head, in time linear in the number of tokens.

        y_i = phi(q_i) (sum_j phi(k_j)^T v_j) / (phi(q_i) . sum_j phi(k_j))

    where j runs over all keys, or with `causal` over j <= i. Takes `O((n + m) f e)` time for f features.
    The causal form, `O(n f e + n block (f + e))`, processes `block` tokens at a time: by their weights within
    a block, and by their sum for all earlier ones. For the gradient it keeps one sum, f (e + 1) numbers,
    per block, and recomputes the rest: memory `O(n (d + e) + n f e / block)`.

    Args:
        q: queries, (n, d).
        k: keys, (m, d).
        v: values, (m, e).
        feature_map: phi; by default [`EluFeatures`][populace.nn.EluFeatures].
        mask: (m,), true for the keys that may be attended to. A query without any gets zeros, and so does one
            whose weights all vanish in float32: under ReLU, or where all inner products of features are
            below 1e-38 of the largest. Masked keys affect neither output nor gradient, even if NaN.
        causal: query i attends only to keys j <= i, whatever n and m are.
        block: tokens per block in the causal form.

    Returns:
        (n, e).

    Raises:
        UsageError: mismatched shapes, a mask of another shape or dtype, a block below 1.

    """
    n, m = check_inputs("linear_attention", q, k, v)
    check_mask("linear_attention", mask, (m,))
    if block < 1:
        raise UsageError(f"linear_attention: block is {block}, expected at least 1")
    phi = EluFeatures() if feature_map is None else feature_map
    dtype = jnp.result_type(q, k, v)
    q, k, v, spoiled = without_unseen(q, k, v, mask, causal)
    empty = _empty(phi, q.shape[1], v.shape[1], jnp.result_type(q, k, v))
    if not causal:
        state = _remember(empty, *_keys(phi, k, mask), _with_ones(v))
        return _mean(phi.scaled(q)[0] @ state.memory).astype(dtype)

    block = min(block, max(n, 1))
    count = -(-n // block)

    def cut(rows: jax.Array) -> jax.Array:
        rows = rows[: count * block]  # no query attends to keys after the last query
        padding = [(0, count * block - len(rows))] + [(0, 0)] * (rows.ndim - 1)
        return jnp.pad(rows, padding).reshape(count, block, *rows.shape[1:])

    real = jnp.ones(m, bool) if mask is None else mask

    @jax.checkpoint
    def body(state: LinearState, tokens: Any) -> tuple[LinearState, jax.Array]:
        return _advance(phi, state, *tokens)

    _, out = jax.lax.scan(body, empty, (cut(q), cut(k), cut(v), cut(real)))
    return spoil(out.reshape(count * block, -1)[:n], spoiled).astype(dtype)


class LinearAttention(eqx.Module):
    """[`linear_attention`][populace.nn.linear_attention] as a layer with its feature map.

    For training, call it on whole sequences, `attend(q, k, v, mask=mask, causal=causal)`; for generation,
    token by token, `state, y = attend.step(state, q, k, v)`, with the outputs of the causal form.

    Args:
        feature_map: phi; by default [`EluFeatures`][populace.nn.EluFeatures].

    """

    feature_map: FeatureMap

    def __init__(self, feature_map: FeatureMap | None = None) -> None:
        self.feature_map = EluFeatures() if feature_map is None else feature_map

    def __call__(
        self,
        q: jax.Array,
        k: jax.Array,
        v: jax.Array,
        *,
        mask: jax.Array | None = None,
        causal: bool = False,
    ) -> jax.Array:
        """Return (n, e) for queries (n, d), keys (m, d), values (m, e)."""
        return linear_attention(q, k, v, self.feature_map, mask=mask, causal=causal)

    def init_state(
        self, width: int, value_width: int, dtype: Any = jnp.float32, length: int = 0
    ) -> LinearState:
        """Return the state before the first token, for keys of `width` and values of `value_width`.

        It is of one size whatever the `length`.
        """
        del length
        return _empty(self.feature_map, width, value_width, dtype)

    def step(
        self, state: LinearState, q: jax.Array, k: jax.Array, v: jax.Array
    ) -> tuple[LinearState, jax.Array]:
        """Process one token, q and k (d,), v (e,); return the new state and the output, (e,).

        Takes `O(f (d + e))` time, independent of the number of earlier tokens.

        Raises:
            UsageError: vectors whose width is not that of the state.

        """
        value_width = state.memory.shape[1] - 1
        for name, x, shape in (
            ("query", q, q.shape if q.ndim == 1 else ("width",)),
            ("key", k, q.shape),
            ("value", v, (value_width,)),
        ):
            if x.shape != shape:
                raise UsageError(f"LinearAttention: {name} has shape {x.shape}, expected ({shape[0]},)")
        found = eqx.filter_eval_shape(self.feature_map, q[None]).shape[1]
        if found != len(state.memory):
            raise UsageError(
                f"LinearAttention: query has {found} features, expected {len(state.memory)} as in the state"
            )
        state, out = self.extend(state, q[None], k[None], v[None])
        return state, out[0]

    def extend(
        self, state: LinearState, q: jax.Array, k: jax.Array, v: jax.Array
    ) -> tuple[LinearState, jax.Array]:
        """Process n tokens in order, (n, d), (n, d) and (n, e); return the new state and (n, e).

        Takes `O(n (f + n) (d + e))` time: n is meant to be a block.
        """
        return _advance(self.feature_map, state, q, k, v, None)


def _empty(phi: FeatureMap, width: int, value_width: int, dtype: Any) -> LinearState:
    features = eqx.filter_eval_shape(phi, jax.ShapeDtypeStruct((1, width), dtype))
    memory = jnp.zeros((features.shape[1], value_width + 1), features.dtype)
    return LinearState(memory, jnp.full((), jnp.finfo(features.dtype).min, features.dtype))


def _keys(phi: FeatureMap, k: jax.Array, mask: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    features, logarithm = phi.scaled(k)
    if mask is None:
        return features, logarithm
    return jnp.where(mask[:, None], features, 0), jnp.where(mask, logarithm, -jnp.inf)


def _remember(
    state: LinearState, features: jax.Array, logarithm: jax.Array, values: jax.Array
) -> LinearState:
    highest = jnp.maximum(state.logarithm, jnp.max(logarithm, initial=-jnp.inf))
    memory = state.memory * jnp.exp(state.logarithm - highest)
    return LinearState(memory + (features * jnp.exp(logarithm - highest)[:, None]).T @ values, highest)


def _advance(
    phi: FeatureMap, state: LinearState, q: jax.Array, k: jax.Array, v: jax.Array, mask: jax.Array | None
) -> tuple[LinearState, jax.Array]:
    """Process a block of tokens in order; a block of one is a generation step."""
    queries, _ = phi.scaled(q)  # the scale of a query cancels
    features, logarithm = _keys(phi, k, mask)
    values = _with_ones(v)
    # Each query is scaled by the keys up to it: a later, much larger key must not make them underflow.
    highest = jnp.maximum(state.logarithm, jax.lax.cummax(logarithm))
    seen = jnp.tri(len(k), dtype=bool)
    scale = jnp.exp(jnp.where(seen, logarithm - highest[:, None], -jnp.inf))
    inside = (queries @ features.T * scale) @ values
    before = jnp.exp(state.logarithm - highest)[:, None] * (queries @ state.memory)
    return _remember(state, features, logarithm, values), _mean(inside + before)


def _with_ones(v: jax.Array) -> jax.Array:
    """Append a column of ones, which sums the weights along with the weighted values."""
    return jnp.concatenate([v, jnp.ones((len(v), 1), v.dtype)], axis=1)


def _mean(sums: jax.Array) -> jax.Array:
    """Divide the weighted sums by the sum of weights in the last column; zeros where that is zero."""
    total = sums[:, -1:]
    seen = total > 0
    # In two steps, so that the gradient does not square a total, which may be as small as 1e-30.
    size = jax.lax.stop_gradient(jnp.where(seen, total, 1))
    return jnp.where(seen, sums[:, :-1] / size / jnp.where(seen, total / size, 1), 0)
