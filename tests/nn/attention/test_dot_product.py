import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.nn.attention.dot_product import attention, context_matrix
from tests.nn.attention.formulas import NOTHING, draw, pairs, softmax_by_loops
from tests.nn.harness import check_layer

attend = jax.jit(attention, static_argnames=("causal", "block"))


@pytest.mark.parametrize(
    ("sizes", "forms"),
    [
        ((5, 7, 4, 3), [(None, False), (2, True)]),
        ((7, 5, 3, 4), [(None, True), (3, False)]),
        ((6, 6, 1, 1), [(1, True)]),
    ],
)
def test_attention_is_its_formula(sizes, forms):
    """Whole and in blocks, causal and not, with more keys than queries and with fewer."""
    check_layer(
        lambda q, k, v: [attention(q, k, v, causal=causal, block=block) for block, causal in forms],
        draw(*sizes),
        lambda _, q, k, v: [softmax_by_loops(q, k, v, causal=causal) for _, causal in forms],
        eager=sizes == (6, 6, 1, 1),
    )


@pytest.mark.parametrize(
    ("mask", "forms"),
    [
        (pairs(), [(None, True), (2, False)]),
        (pairs()[0], [(None, False), (2, True)]),
        (NOTHING, [(None, False)]),
    ],
    ids=["pairs", "keys", "nothing"],
)
def test_masked_attention_is_its_formula(mask, forms):
    check_layer(
        lambda q, k, v, mask: [attention(q, k, v, mask=mask, causal=c, block=block) for block, c in forms],
        (*draw(), mask),
        lambda _, q, k, v, mask: [softmax_by_loops(q, k, v, mask, causal) for _, causal in forms],
    )


def test_agrees_with_jax():
    def both(q, k, v, causal):
        expected = jax.nn.dot_product_attention(q[:, None], k[:, None], v[:, None], is_causal=causal)
        return attention(q, k, v, causal=causal), expected[:, 0]

    for causal in (False, True):
        found, expected = jax.jit(both, static_argnums=3)(*draw(40, 40, 8, 8), causal)
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_blocks_change_nothing(causal):
    q, k, v = draw(131, 90, 8, 5)
    mask = pairs(131, 90)

    def loss(q, k, v, block):
        return jnp.sum(jnp.sin(attention(q, k, v, mask=mask, causal=causal, block=block)))

    slope = jax.value_and_grad(loss, (0, 1, 2))
    (whole, gradient), (value, found) = jax.jit(lambda *x: (slope(*x, 131), slope(*x, 12)))(q, k, v)
    np.testing.assert_allclose(value, whole, rtol=1e-5)
    for a, b in zip(found, gradient):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_query_without_keys_gets_zeros_and_a_finite_gradient():
    @jax.jit
    def run(q, k, v):
        out, back = jax.vjp(lambda *x: attention(*x, mask=pairs()), q, k, v)
        return out, back(jnp.ones_like(out)), attention(q, k[:0], v[:0])

    out, gradient, of_no_keys = jax.tree.map(np.asarray, run(*draw()))
    assert not out[1].any()
    assert all(np.isfinite(g).all() for g in gradient)
    assert not gradient[0][1].any()
    assert of_no_keys.shape == (5, 3)
    assert not of_no_keys.any()


def test_no_queries_have_no_results():
    v = np.ones((7, 3), np.float32)
    for m in (7, 0):
        for causal in (False, True):
            assert attend(v[:0], v[:m], v[:m], causal=causal).shape == (0, 3)


def test_large_scores_choose_one_key():
    q, k, v = draw()
    out = attend(np.float32(1e4) * q, k, v)
    np.testing.assert_allclose(out, v[np.argmax(q @ k.T, axis=1)], atol=1e-6)


def test_causal_attention_does_not_see_the_future():
    q, k, v = draw(6, 6)
    later = np.float32(np.arange(6) >= 4)[:, None]
    changed = np.asarray(attend(q, k + later, v + later, causal=True))
    np.testing.assert_array_equal(changed[:4], np.asarray(attend(q, k, v, causal=True))[:4])


def test_order_of_keys_does_not_matter():
    q, k, v = draw()
    order = np.random.default_rng(2).permutation(7)
    np.testing.assert_allclose(attend(q, k[order], v[order]), attend(q, k, v), atol=1e-6)


def test_gradient_of_a_long_sequence_holds_few_scores_at_a_time():
    n, d = 8192, 16
    x = jax.ShapeDtypeStruct((n, d), jnp.float32)
    gradient = jax.grad(lambda q, k, v: attention(q, k, v, causal=True).sum(), (0, 1, 2))
    compiled = jax.jit(gradient).lower(x, x, x).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < n * n * 4 / 8


def test_context_matrix_holds_the_weights():
    q, k, v = draw()

    @jax.jit
    def run(q, k, v):
        forms = ({"causal": False}, {"causal": True})
        masked = [
            (context_matrix(q, k, mask=pairs(), **form) @ v, attention(q, k, v, mask=pairs(), **form))
            for form in forms
        ]
        return masked, context_matrix(q, k)

    masked, whole = run(q, k, v)
    for found, expected in masked:
        np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(np.asarray(whole).sum(1), 1, rtol=1e-6)


q, k, v = draw()


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((q[0], k, v), {}, "queries have shape (4,), expected (length, width)"),
        ((q, k[:, :2], v), {}, "keys have shape (7, 2), expected (length, 4)"),
        ((q, k, v[:3]), {}, "values have shape (3, 3), expected (7, width)"),
        ((q, k, v), {"mask": np.ones((7, 5), bool)}, "mask has shape (7, 5), expected (7,) or (5, 7)"),
        ((q, k, v), {"mask": np.ones((5, 7), np.float32)}, "mask is of float32, expected bool"),
        ((q, k, v), {"block": 0}, "block is 0, expected at least 1"),
    ],
)
def test_bad_input_is_named(arguments, options, message):
    with pytest.raises(UsageError) as error:
        attention(*arguments, **options)
    assert str(error.value).startswith(f"attention: {message}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_a_query_may_not_look_at_reaches_neither_its_output_nor_a_gradient(bad):
    """With a mask of keys, one of pairs, and causal, in blocks and not."""
    q, k, v = draw(6, 6)
    pair = pairs(6, 6)
    pair[:3, 2] = False
    pair[3:, 2] = True
    forms = [{"mask": np.arange(6) != 2}, {"mask": pair}, {"causal": True}, {"mask": pair, "causal": True}]

    def outputs(q, k, v, form):
        found = [attention(q, k, v, block=block, **form) for block in (None, 4)]
        return [*found, context_matrix(q, k, **form)]

    @jax.jit
    def run(q, k, v):
        def loss(q, k, v):
            every = [outputs(q, k, v, form) for form in forms]
            return sum((x[:2] ** 2).sum() for found in every for x in found), every

        return jax.value_and_grad(loss, (0, 1, 2), has_aux=True)(q, k, v)

    k[2], v[2] = 0, 0
    # A program may still read what is changed next.
    (value, before), gradient = jax.block_until_ready(run(q, k, v))
    k[2], v[2] = bad, bad
    (found, every), slope = run(q, k, v)
    for a, b in zip((found, *slope), (value, *gradient)):
        np.testing.assert_allclose(a, b, atol=1e-6)
    for form, after, clean in zip(forms, every, before):
        order = np.tri(6) > 0 if "causal" in form else True
        looks = np.broadcast_to(form.get("mask", True), (6, 6)) & order
        for a, b in zip(after, clean):
            np.testing.assert_array_equal(np.isnan(a).any(1), looks[:, 2])
            np.testing.assert_allclose(np.asarray(a)[~looks[:, 2]], np.asarray(b)[~looks[:, 2]], atol=1e-6)


def test_scores_beyond_half_precision():
    q, k, v = (np.full(shape, 300, np.float16) for shape in ((1, 4), (2, 4), (2, 1)))
    k[1], v[1] = 299, 1  # a score of 180,000, where float16 ends at 65,504
    found, weights = jax.jit(lambda *x: (attention(*x), context_matrix(*x[:2])))(q, k, v)
    assert found.dtype == weights.dtype == np.float16
    np.testing.assert_array_equal(found, [[300]])
    np.testing.assert_array_equal(weights, [[1, 0]])
