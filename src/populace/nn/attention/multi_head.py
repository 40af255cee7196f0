"""Multi-head attention over any single-head attention.

Vaswani et al. 2017, "Attention Is All You Need", arXiv:1706.03762.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.model.outline import Step
from populace.nn.attention.dot_product import attention, check_mask


class MultiHeadAttention(eqx.Module):
    r"""Multi-head attention: each head attends to its own projections of the input.

        head_h = attend(Q W_h^Q + b_h^Q, K W_h^K + b_h^K, V W_h^V + b_h^V)
        y = [head_1, ..., head_H] W^O + b^O

    Weights are initialized Glorot uniform, biases with zeros. Takes `O((n + m) c^2 + n m c)` time for a width
    c with softmax attention.

    Args:
        width: width of the queries.
        heads: number of heads; must divide `width` unless `head_width` is given.
        key_width: width of the keys; by default `width`.
        value_width: width of the values; by default `key_width`.
        output_width: width of the result; by default `width`.
        head_width: width of queries and keys inside a head; by default `width / heads`.
        value_head_width: width of values inside a head; by default `head_width`.
        bias: whether the four projections have a bias.
        attend: the attention of one head, a module called as `attend(q, k, v, mask=mask, causal=causal)`,
            such as [`LinearAttention`][populace.nn.LinearAttention]; by default softmax attention.
        key: PRNG key for the initial weights.

    Raises:
        UsageError: heads that do not divide the width, or a size below 1.

    """

    query_projection: eqx.nn.Linear
    key_projection: eqx.nn.Linear
    value_projection: eqx.nn.Linear
    output_projection: eqx.nn.Linear
    attend: Any
    heads: int = eqx.field(static=True)

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        key_width: int | None = None,
        value_width: int | None = None,
        output_width: int | None = None,
        head_width: int | None = None,
        value_head_width: int | None = None,
        bias: bool = True,
        attend: Any = None,
        key: jax.Array,
    ) -> None:
        optional = {
            "key_width": key_width,
            "value_width": value_width,
            "output_width": output_width,
            "head_width": head_width,
            "value_head_width": value_head_width,
        }
        given = {name: size for name, size in optional.items() if size is not None}
        for name, size in {"width": width, "heads": heads, **given}.items():
            if not isinstance(size, int | np.integer) or size < 1:
                raise UsageError(
                    f"MultiHeadAttention: {name} is {size}, expected a whole number of at least 1"
                )
        if head_width is None and width % heads:
            raise UsageError(
                f"MultiHeadAttention: width {width} does not divide into {heads} heads; "
                "choose another number of heads, or give head_width"
            )
        head_width = head_width or width // heads
        key_width = key_width or width
        inside = heads * (value_head_width or head_width)
        q_key, k_key, v_key, o_key = jax.random.split(key, 4)
        self.query_projection = _projection(width, heads * head_width, bias, q_key)
        self.key_projection = _projection(key_width, heads * head_width, bias, k_key)
        self.value_projection = _projection(value_width or key_width, inside, bias, v_key)
        self.output_projection = _projection(inside, output_width or width, bias, o_key)
        self.attend = attend
        self.heads = heads

    def wiring(self) -> list[Step]:
        """Return the parts: three parallel projections, the attention, and the output projection."""
        inside = ("query_projection", "key_projection", "value_projection")
        steps: list[Step] = [(name, getattr(self, name), ()) for name in inside]
        steps.append(("attend", self.attend or attention, inside))
        return [*steps, ("output_projection", self.output_projection, ("attend",))]

    def __call__(
        self,
        query: jax.Array,
        key: jax.Array | None = None,
        value: jax.Array | None = None,
        *,
        mask: jax.Array | None = None,
        causal: bool = False,
    ) -> jax.Array:
        """Return (n, output_width) for queries (n, width), keys (m, key_width), values (m, value_width).

        Keys default to the queries (self-attention), and values to the keys. The mask is that of `attend`,
        shared by all heads, or one per head along a leading axis.

        Raises:
            UsageError: mismatched shapes.

        """
        key = query if key is None else key
        value = key if value is None else value
        self._check(query, key, value, "length")
        n, m = len(query), len(key)
        check_mask("MultiHeadAttention", mask, (m,), (n, m), (self.heads, n, m))
        if mask is not None and mask.ndim == 1:
            # Before the projections: their gradients sum over all tokens, and 0 times NaN is NaN.
            alone = query is key
            key, value = jnp.where(mask[:, None], key, 0), jnp.where(mask[:, None], value, 0)
            if alone:
                query = jnp.where(mask[:, None] | jnp.isfinite(query), query, 0)
        q = self._split(jax.vmap(self.query_projection)(query))
        k = self._split(jax.vmap(self.key_projection)(key))
        v = self._split(jax.vmap(self.value_projection)(value))
        attend = attention if self.attend is None else self.attend
        head = lambda q, k, v, mask: attend(q, k, v, mask=mask, causal=causal)  # noqa: E731
        own_mask = 0 if mask is not None and mask.ndim == 3 else None
        out = jax.vmap(head, (0, 0, 0, own_mask))(q, k, v, mask)
        return jax.vmap(self.output_projection)(out.swapaxes(0, 1).reshape(n, -1))

    def init_state(self, dtype: Any = jnp.float32, length: int = 0) -> Any:
        """Return the state before the first token, for [`step`][populace.nn.MultiHeadAttention].

        Args:
            dtype: of what is remembered.
            length: tokens that a cache has room for; 0 for as many as `attend` says.

        Raises:
            UsageError: `attend` has no recurrent form; softmax attention has none.

        """
        self._check_recurrent()
        width = self.key_projection.out_features
        value_width = self.value_projection.out_features
        assert isinstance(width, int)
        assert isinstance(value_width, int)
        one = self.attend.init_state(width // self.heads, value_width // self.heads, dtype, length)
        return jax.tree.map(lambda x: jnp.broadcast_to(x, (self.heads, *x.shape)), one)

    def step(
        self, state: Any, query: jax.Array, key: jax.Array | None = None, value: jax.Array | None = None
    ) -> tuple[Any, jax.Array]:
        """Process one token, (width,); return the new state and the output, as `causal=True` gives it.

        Raises:
            UsageError: mismatched shapes.

        """
        key = query if key is None else key
        value = key if value is None else value
        self._check_recurrent()
        self._check(query, key, value)
        q = self.query_projection(query).reshape(self.heads, -1)
        k = self.key_projection(key).reshape(self.heads, -1)
        v = self.value_projection(value).reshape(self.heads, -1)
        state, out = jax.vmap(self.attend.step)(state, q, k, v)
        return state, self.output_projection(out.reshape(-1))

    def extend(self, state: Any, x: jax.Array) -> tuple[Any, jax.Array]:
        """Process n tokens in order, (n, width), as so many steps would; return the new state and outputs."""
        self._check_recurrent()
        self._check(x, x, x, "length")
        inside = (self.query_projection, self.key_projection, self.value_projection)
        state, out = jax.vmap(self.attend.extend)(state, *(self._split(jax.vmap(p)(x)) for p in inside))
        return state, jax.vmap(self.output_projection)(out.swapaxes(0, 1).reshape(len(x), -1))

    def _split(self, projected: jax.Array) -> jax.Array:
        """(n, heads * d) to (heads, n, d)."""
        return projected.reshape(len(projected), self.heads, -1).swapaxes(0, 1)

    def _check_recurrent(self) -> None:
        if not hasattr(self.attend, "step"):
            name = "softmax attention" if self.attend is None else type(self.attend).__name__
            raise UsageError(
                f"MultiHeadAttention: {name} has no recurrent form; use attend=LinearAttention()"
            )

    def _check(self, query: jax.Array, key: jax.Array, value: jax.Array, *length: str) -> None:
        """Raise unless shapes are (*length, width) and there are as many values as keys."""
        for name, x, projection in (
            ("query", query, self.query_projection),
            ("key", key, self.key_projection),
            ("value", value, self.value_projection),
        ):
            before = key.shape[: len(length)] if name == "value" else length
            fits = x.ndim == len(length) + 1 and x.shape[-1] == projection.in_features
            if not fits or (name == "value" and x.shape[:-1] != before):
                expected = ", ".join(map(str, (*before, projection.in_features)))
                raise UsageError(f"MultiHeadAttention: {name} has shape {x.shape}, expected ({expected})")


def _projection(width: int, out_width: int, bias: bool, key: jax.Array) -> eqx.nn.Linear:
    # Only its shapes: weights are drawn below.
    linear = eqx.filter_eval_shape(eqx.nn.Linear, width, out_width, use_bias=bias, key=key)
    glorot = jax.nn.initializers.glorot_uniform(in_axis=1, out_axis=0)
    linear = eqx.tree_at(lambda x: x.weight, linear, glorot(key, (out_width, width)))
    return eqx.tree_at(lambda x: x.bias, linear, jnp.zeros(out_width)) if bias else linear
