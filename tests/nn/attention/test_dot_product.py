import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.nn.attention.dot_product import attention, context_matrix
from tests.nn.harness import check_layer


def draw(n=5, m=7, d=4, e=3, seed=0):
    draws = np.random.default_rng(seed)
    return tuple(jnp.asarray(draws.normal(size=s), jnp.float32) for s in ((n, d), (m, d), (m, e)))


def pairs(n=5, m=7, seed=1):
    """A random mask that leaves query 1 nothing to look at."""
    mask = np.random.default_rng(seed).random((n, m)) < 0.6
    mask[1] = False
    return jnp.asarray(mask)


def softmax_by_loops(q, k, v, mask=None, causal=False):
    n, m = len(q), len(k)
    out = np.zeros((n, v.shape[1]))
    for i in range(n):
        total = 0.0
        for j in range(m):
            seen = True if mask is None else (mask[j] if mask.ndim == 1 else mask[i, j])
            if not seen or (causal and j > i):
                continue
            weight = math.exp(sum(q[i, c] * k[j, c] for c in range(q.shape[1])) / math.sqrt(q.shape[1]))
            out[i] += weight * v[j]
            total += weight
        if total:
            out[i] /= total
    return out


@pytest.mark.parametrize(
    ("sizes", "block", "causal"),
    [
        ((5, 7, 4, 3), None, False),
        ((7, 5, 3, 4), None, True),
        ((5, 7, 4, 3), 2, True),
        ((7, 5, 3, 4), 3, False),
        ((6, 6, 1, 1), 1, True),
    ],
)
def test_attention_is_its_formula(sizes, block, causal):
    check_layer(
        jax.jit(lambda q, k, v: attention(q, k, v, causal=causal, block=block)),
        draw(*sizes),
        lambda _, q, k, v: softmax_by_loops(q, k, v, causal=causal),
    )


@pytest.mark.parametrize(
    ("mask", "block", "causal"),
    [
        (pairs(), None, True),
        (pairs(), 2, False),
        (pairs()[0], None, False),
        (pairs()[0], 2, True),
        (jnp.zeros(7, bool), None, False),
    ],
)
def test_masked_attention_is_its_formula(mask, block, causal):
    check_layer(
        jax.jit(lambda q, k, v, mask: attention(q, k, v, mask=mask, causal=causal, block=block)),
        (*draw(), mask),
        lambda _, q, k, v, mask: softmax_by_loops(q, k, v, mask, causal),
    )


@pytest.mark.parametrize("causal", [False, True])
def test_agrees_with_jax(causal):
    q, k, v = draw(40, 40, 8, 8)
    expected = jax.nn.dot_product_attention(q[:, None], k[:, None], v[:, None], is_causal=causal)[:, 0]
    np.testing.assert_allclose(attention(q, k, v, causal=causal), expected, atol=1e-5)


@pytest.mark.parametrize(("causal", "masked"), [(False, True), (True, True), (True, False)])
def test_blocks_change_nothing(causal, masked):
    q, k, v = draw(131, 90, 8, 5)
    mask = pairs(131, 90) if masked else None

    def loss(q, k, v, block):
        return jnp.sum(jnp.sin(attention(q, k, v, mask=mask, causal=causal, block=block)))

    slope = jax.jit(jax.value_and_grad(loss, (0, 1, 2)), static_argnums=3)
    whole, gradient = slope(q, k, v, 131)
    value, found = slope(q, k, v, 12)
    np.testing.assert_allclose(value, whole, rtol=1e-5)
    for a, b in zip(found, gradient):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_query_without_keys_gets_zeros_and_a_finite_gradient():
    q, k, v = draw()
    out, back = jax.vjp(lambda *x: attention(*x, mask=pairs()), q, k, v)
    assert not out[1].any()
    gradient = back(jnp.ones_like(out))
    assert all(np.isfinite(g).all() for g in gradient)
    assert not gradient[0][1].any()
    assert not attention(q, k[:0], v[:0]).any()


@pytest.mark.parametrize(("n", "m"), [(0, 7), (0, 0)])
@pytest.mark.parametrize("causal", [False, True])
def test_no_queries_have_no_results(n, m, causal):
    q, k, v = jnp.ones((n, 4)), jnp.ones((m, 4)), jnp.ones((m, 3))
    assert attention(q, k, v, causal=causal).shape == (0, 3)


def test_large_scores_choose_one_key():
    q, k, v = draw()
    out = attention(1e4 * q, k, v)
    np.testing.assert_allclose(out, v[np.argmax(q @ k.T, axis=1)], atol=1e-6)


def test_causal_attention_does_not_see_the_future():
    q, k, v = draw(6, 6)
    changed = attention(q, k.at[4:].add(1.0), v.at[4:].add(1.0), causal=True)
    np.testing.assert_array_equal(changed[:4], attention(q, k, v, causal=True)[:4])


def test_order_of_keys_does_not_matter():
    q, k, v = draw()
    order = np.random.default_rng(2).permutation(7)
    np.testing.assert_allclose(attention(q, k[order], v[order]), attention(q, k, v), atol=1e-6)


def test_gradient_of_a_long_sequence_holds_few_scores_at_a_time():
    n, d = 8192, 16
    x = jax.ShapeDtypeStruct((n, d), jnp.float32)
    gradient = jax.grad(lambda q, k, v: attention(q, k, v, causal=True).sum(), (0, 1, 2))
    compiled = jax.jit(gradient).lower(x, x, x).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < n * n * 4 / 8


def test_context_matrix_holds_the_weights():
    q, k, v = draw()
    for causal in (False, True):
        matrix = context_matrix(q, k, mask=pairs(), causal=causal)
        np.testing.assert_allclose(matrix @ v, attention(q, k, v, mask=pairs(), causal=causal), atol=1e-6)
    np.testing.assert_allclose(context_matrix(q, k).sum(1), 1, rtol=1e-6)


q, k, v = draw()


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((q[0], k, v), {}, "queries have shape (4,), expected (length, width)"),
        ((q, k[:, :2], v), {}, "keys have shape (7, 2), expected (length, 4)"),
        ((q, k, v[:3]), {}, "values have shape (3, 3), expected (7, width)"),
        ((q, k, v), {"mask": jnp.ones((7, 5), bool)}, "mask has shape (7, 5), expected (7,) or (5, 7)"),
        ((q, k, v), {"mask": jnp.ones((5, 7))}, "mask is of float32, expected bool"),
        ((q, k, v), {"block": 0}, "block is 0, expected at least 1"),
    ],
)
def test_bad_input_is_named(arguments, options, message):
    with pytest.raises(UsageError) as error:
        attention(*arguments, **options)
    assert str(error.value).startswith(f"attention: {message}")
    assert "\n" not in str(error.value)
