from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.nn.attention.feature_maps import RandomFeatures, ReluFeatures
from populace.nn.attention.linear import LinearAttention
from populace.nn.attention.low_rank import ProjectedAttention
from populace.nn.attention.multi_head import MultiHeadAttention
from tests.nn.attention.test_dot_product import pairs, softmax_by_loops
from tests.nn.attention.test_linear import linear_by_loops
from tests.nn.harness import check_layer

KEY = jax.random.key(0)


class Called(eqx.Module):
    """The layer with a mask among its inputs, as the harness gives them."""

    layer: Any
    causal: bool = eqx.field(static=True)

    @eqx.filter_jit
    def __call__(self, query, key, value, mask=None):
        return self.layer(query, key, value, mask=mask, causal=self.causal)


def project(linear, x):
    return x @ linear.weight.T + (0 if linear.bias is None else linear.bias)


def heads_by_loops(called, query, key, value, mask=None, one=softmax_by_loops):
    layer = called.layer
    q, k = project(layer.query_projection, query), project(layer.key_projection, key)
    v = project(layer.value_projection, value)
    d, e = q.shape[1] // layer.heads, v.shape[1] // layer.heads
    out = []
    for h in range(layer.heads):
        own = mask[h] if mask is not None and mask.ndim == 3 else mask
        across, down = slice(h * d, (h + 1) * d), slice(h * e, (h + 1) * e)
        out.append(one(q[:, across], k[:, across], v[:, down], own, called.causal))
    return project(layer.output_projection, np.concatenate(out, axis=1))


def draw(n, m, widths, seed=0):
    draws = np.random.default_rng(seed)
    shapes = ((n, widths[0]), (m, widths[1]), (m, widths[2]))
    return tuple(jnp.asarray(draws.normal(size=s), jnp.float32) for s in shapes)


# a bias of the keys adds the same to all scores of a query, so its gradient is nothing but rounding
ROUNDING = 1e-4


@pytest.mark.parametrize(
    ("options", "causal"),
    [
        ({}, True),
        ({"bias": False, "head_width": 3}, False),
        ({"key_width": 5, "value_width": 6, "output_width": 2, "value_head_width": 1}, False),
    ],
)
def test_heads_are_their_formula(options, causal):
    layer = MultiHeadAttention(4, 2, key=KEY, **options)
    if layer.query_projection.bias is not None:  # biases start at zero, which would hide a mistake
        biases = lambda x: [x.query_projection.bias, x.key_projection.bias, x.output_projection.bias]  # noqa: E731
        layer = eqx.tree_at(biases, layer, [b + 0.3 for b in biases(layer)])
    inputs = draw(5, 7, (4, options.get("key_width", 4), options.get("value_width", 4)))
    check_layer(Called(layer, causal), inputs, heads_by_loops, tolerance=ROUNDING)


@pytest.mark.parametrize("shape", ["keys", "heads"])
def test_masked_heads_are_their_formula(shape):
    mask = {"keys": pairs()[0], "heads": jnp.stack([pairs(), pairs(seed=3)])}[shape]
    inputs = (*draw(5, 7, (4, 4, 4)), mask)
    layer = MultiHeadAttention(4, 2, key=KEY)
    check_layer(Called(layer, False), inputs, heads_by_loops, tolerance=ROUNDING)


@pytest.mark.parametrize("causal", [False, True])
def test_heads_of_linear_attention_are_their_formula(causal):
    layer = MultiHeadAttention(4, 2, attend=LinearAttention(), key=KEY)
    check_layer(
        Called(layer, causal),
        draw(5, 5, (4, 4, 4)),
        lambda *x: heads_by_loops(*x, one=linear_by_loops),
    )


def test_low_rank_heads():
    attend = ProjectedAttention(7, 7, start="mean", key=KEY)
    x, _, _ = draw(7, 7, (4, 4, 4))
    expected = MultiHeadAttention(4, 2, key=KEY)(x)  # as many places as keys: nothing is lost
    np.testing.assert_allclose(MultiHeadAttention(4, 2, attend=attend, key=KEY)(x), expected, atol=1e-6)


def test_self_attention_by_default():
    layer = MultiHeadAttention(4, 2, key=KEY)
    x, y, _ = draw(5, 7, (4, 4, 4))
    np.testing.assert_array_equal(layer(x), layer(x, x, x))
    np.testing.assert_array_equal(layer(x, y), layer(x, y, y))


@pytest.mark.parametrize(
    "features", [None, ReluFeatures(), RandomFeatures(3, 8, key=KEY)], ids=["elu", "relu", "random"]
)
def test_generation_gives_what_the_causal_form_gives(features):
    layer = MultiHeadAttention(4, 2, head_width=3, attend=LinearAttention(features), key=KEY)
    x, _, _ = draw(9, 9, (4, 4, 4))
    _, out = jax.lax.scan(lambda state, x: layer.step(state, x), layer.init_state(), x)
    np.testing.assert_allclose(out, layer(x, causal=True), atol=1e-5)


def test_weights_are_glorot_and_biases_zero():
    layer = MultiHeadAttention(64, 4, output_width=128, key=KEY)
    for linear in (layer.query_projection, layer.output_projection):
        limit = np.sqrt(6 / sum(linear.weight.shape))
        assert 0.95 * limit < np.abs(linear.weight).max() <= limit
        assert linear.bias is not None
        assert not linear.bias.any()


def test_no_two_projections_start_alike():
    layer = MultiHeadAttention(8, 2, key=KEY)
    names = ("query", "key", "value", "output")
    weights = [getattr(layer, f"{name}_projection").weight for name in names]
    assert len({np.asarray(weight).tobytes() for weight in weights}) == 4


x, context, _ = draw(5, 7, (4, 4, 4))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((x[:, :3],), {}, "query has shape (5, 3), expected (length, 4)"),
        ((x, context[0]), {}, "key has shape (4,), expected (length, 4)"),
        ((x, context, context[:2]), {}, "value has shape (2, 4), expected (7, 4)"),
        ((x, context), {"mask": jnp.ones((5, 5), bool)}, "mask has shape (5, 5), expected (7,) or (5, 7)"),
    ],
)
def test_bad_input_is_named(arguments, options, message):
    layer = MultiHeadAttention(4, 2, key=KEY)
    with pytest.raises(UsageError) as error:
        layer(*arguments, **options)
    assert str(error.value).startswith(f"MultiHeadAttention: {message}")


@pytest.mark.parametrize(
    ("sizes", "options", "message"),
    [
        ((10, 3), {}, "width 10 does not divide into 3 heads"),
        ((4, 0), {}, "heads is 0, expected a whole number of at least 1"),
        ((4, 2), {"key_width": -1}, "key_width is -1, expected a whole number of at least 1"),
        ((4.0, 2), {}, "width is 4.0, expected a whole number of at least 1"),
    ],
)
def test_bad_sizes_are_named(sizes, options, message):
    with pytest.raises(UsageError) as error:
        MultiHeadAttention(*sizes, key=KEY, **options)
    assert str(error.value).startswith(f"MultiHeadAttention: {message}")


def test_softmax_has_no_recurrent_form():
    layer = MultiHeadAttention(4, 2, key=KEY)
    with pytest.raises(UsageError, match="softmax attention has no recurrent form"):
        layer.init_state()
    with pytest.raises(UsageError, match="softmax attention has no recurrent form"):
        layer.step(None, x[0])


def test_a_token_of_another_width_is_named():
    layer = MultiHeadAttention(4, 2, attend=LinearAttention(), key=KEY)
    with pytest.raises(UsageError, match=r"query has shape \(3,\), expected \(4\)"):
        layer.step(layer.init_state(), x[0, :3])
