from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.nn.attention.feature_maps import EluFeatures, RandomFeatures, ReluFeatures
from populace.nn.attention.linear import LinearAttention
from populace.nn.attention.low_rank import ProjectedAttention
from populace.nn.attention.multi_head import MultiHeadAttention
from tests.nn.attention.formulas import linear_by_loops, pairs, softmax_by_loops
from tests.nn.draws import filled, quick_key
from tests.nn.harness import check_layer


class Called(eqx.Module):
    """A layer called with every mask among its inputs and, in each form, with a mask or causal."""

    layer: Any
    forms: tuple[tuple[int | None, bool], ...] = eqx.field(static=True)
    """Which of the masks, if any, and whether it is causal."""

    def __call__(self, query, key, value, *masks):
        return [
            self.layer(query, key, value, mask=None if m is None else masks[m], causal=causal)
            for m, causal in self.forms
        ]


def made(*, seed=0, **options):
    return filled(lambda key: MultiHeadAttention(4, 2, key=key, **options), seed)


def project(linear, x):
    return x @ linear.weight.T + (0 if linear.bias is None else linear.bias)


def called_by_loops(called, query, key, value, *masks, one=softmax_by_loops):
    return [
        heads_by_loops(called.layer, query, key, value, None if m is None else masks[m], causal, one)
        for m, causal in called.forms
    ]


def heads_by_loops(layer, query, key, value, mask, causal, one):
    q, k = project(layer.query_projection, query), project(layer.key_projection, key)
    v = project(layer.value_projection, value)
    d, e = q.shape[1] // layer.heads, v.shape[1] // layer.heads
    out = []
    for h in range(layer.heads):
        own = mask[h] if mask is not None and mask.ndim == 3 else mask
        across, down = slice(h * d, (h + 1) * d), slice(h * e, (h + 1) * e)
        out.append(one(q[:, across], k[:, across], v[:, down], own, causal))
    return project(layer.output_projection, np.concatenate(out, axis=1))


def draw(n, m, widths, seed=0):
    draws = np.random.default_rng(seed)
    shapes = ((n, widths[0]), (m, widths[1]), (m, widths[2]))
    return tuple(draws.normal(size=s).astype(np.float32) for s in shapes)


# a bias of the keys adds the same to all scores of a query, so its gradient is nothing but rounding
ROUNDING = 1e-4


@pytest.mark.parametrize(
    ("options", "forms"),
    [
        ({}, ((None, True), (0, False), (1, False))),
        ({"bias": False, "head_width": 3}, ((None, False),)),
        ({"key_width": 5, "value_width": 6, "output_width": 2, "value_head_width": 1}, ((None, False),)),
    ],
    ids=["masks", "no bias", "widths"],
)
def test_heads_are_their_formula(options, forms):
    """Causal, with a mask of keys, with one of pairs for each head, and with neither."""
    masks = (pairs()[0], np.stack([pairs(), pairs(seed=3)]))
    inputs = draw(5, 7, (4, options.get("key_width", 4), options.get("value_width", 4)))
    called = Called(made(**options), forms)
    eager = "bias" in options
    check_layer(called, (*inputs, *masks), called_by_loops, tolerance=ROUNDING, eager=eager)


def test_heads_of_linear_attention_are_their_formula():
    check_layer(
        Called(made(attend=LinearAttention()), ((None, False), (None, True))),
        draw(5, 5, (4, 4, 4)),
        lambda *x: called_by_loops(*x, one=linear_by_loops),
    )


def test_low_rank_heads():
    layer = made()
    x, _, _ = draw(7, 7, (4, 4, 4))

    @jax.jit
    def both(layer, x):
        attend = ProjectedAttention(7, 7, start="mean", key=quick_key())
        return eqx.tree_at(lambda n: n.attend, layer, attend, is_leaf=lambda a: a is None)(x), layer(x)

    np.testing.assert_allclose(*both(layer, x), atol=1e-6)  # as many places as keys: nothing is lost


def test_self_attention_by_default():
    layer = made()
    x, y, _ = draw(5, 7, (4, 4, 4))
    self_attention, explicit, of_keys, all_three = jax.jit(
        lambda x, y: (layer(x), layer(x, x, x), layer(x, y), layer(x, y, y))
    )(x, y)
    np.testing.assert_array_equal(self_attention, explicit)
    np.testing.assert_array_equal(of_keys, all_three)


def test_generation_gives_what_the_causal_form_gives():
    maps = (EluFeatures(), ReluFeatures(), filled(lambda key: RandomFeatures(3, 8, key=key)))
    layers = [made(head_width=3, attend=LinearAttention(features)) for features in maps]
    x, _, _ = draw(9, 9, (4, 4, 4))

    def both(layer, x):
        _, out = jax.lax.scan(lambda state, x: layer.step(state, x), layer.init_state(), x)
        return out, layer(x, causal=True)

    for found, expected in jax.jit(lambda x: [both(layer, x) for layer in layers])(x):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_weights_are_glorot_and_biases_zero():
    layer = jax.jit(lambda: MultiHeadAttention(64, 4, output_width=128, key=quick_key()))()
    for linear in (layer.query_projection, layer.output_projection):
        limit = np.sqrt(6 / sum(linear.weight.shape))
        assert 0.95 * limit < np.abs(linear.weight).max() <= limit
        assert linear.bias is not None
        assert not np.any(linear.bias)


x, context, _ = draw(5, 7, (4, 4, 4))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((x[:, :3],), {}, "query has shape (5, 3), expected (length, 4)"),
        ((x, context[0]), {}, "key has shape (4,), expected (length, 4)"),
        ((x, context, context[:2]), {}, "value has shape (2, 4), expected (7, 4)"),
        ((x, context), {"mask": np.ones((5, 5), bool)}, "mask has shape (5, 5), expected (7,) or (5, 7)"),
    ],
)
def test_bad_input_is_named(arguments, options, message):
    layer = made()
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
        MultiHeadAttention(*sizes, key=quick_key(), **options)
    assert str(error.value).startswith(f"MultiHeadAttention: {message}")


def test_softmax_has_no_recurrent_form():
    layer = made()
    with pytest.raises(UsageError, match="softmax attention has no recurrent form"):
        layer.init_state()
    with pytest.raises(UsageError, match="softmax attention has no recurrent form"):
        layer.step(None, x[0])


def test_a_token_of_another_width_is_named():
    layer = made(attend=LinearAttention())
    with pytest.raises(UsageError, match=r"query has shape \(3,\), expected \(4\)"):
        layer.step(layer.init_state(), x[0, :3])


def test_no_two_projections_start_alike():
    layer = MultiHeadAttention(8, 2, key=jax.random.key(0))
    names = ("query", "key", "value", "output")
    weights = [getattr(layer, f"{name}_projection").weight for name in names]
    assert len({np.asarray(weight).tobytes() for weight in weights}) == 4


def test_a_masked_token_that_is_not_finite_reaches_no_weight():
    layer = filled(lambda key: MultiHeadAttention(4, 2, key=key))
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    mask = np.arange(5) != 3

    @jax.jit
    def slope(layer, x):
        loss = lambda layer, x: (layer(x, mask=mask)[:3] ** 2).sum()  # noqa: E731
        return jax.value_and_grad(loss, (0, 1))(layer, x)

    x[3] = 0
    wanted = jax.block_until_ready(slope(layer, x))  # a program may still read what is changed next
    x[3] = np.nan
    for found, expected in zip(jax.tree.leaves(slope(layer, x)), jax.tree.leaves(wanted)):
        np.testing.assert_allclose(found, expected, atol=1e-5)
