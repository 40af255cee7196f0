import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.nn.attention.dot_product import attention
from populace.nn.attention.feature_maps import EluFeatures, RandomFeatures, ReluFeatures
from populace.nn.attention.linear import LinearAttention, linear_attention
from tests.nn.attention.test_dot_product import draw, pairs
from tests.nn.harness import check_layer

MAPS = {"elu": EluFeatures(), "relu": ReluFeatures(), "random": RandomFeatures(4, 6, key=jax.random.key(3))}


def features_by_loops(name, x):
    if name == "elu":
        return np.array([u + 1 if u > 0 else np.exp(u) for u in x])
    if name == "relu":
        return np.array([max(u, 0.0) for u in x])
    directions = np.asarray(MAPS["random"].directions.value, np.float64)
    x = x / len(x) ** 0.25
    return np.array([np.exp(w @ x - x @ x / 2) for w in directions]) / np.sqrt(len(directions))


def linear_by_loops(q, k, v, mask=None, causal=False, name="elu"):
    out = np.zeros((len(q), v.shape[1]))
    for i in range(len(q)):
        weights = np.zeros(len(k))
        for j in range(len(k)):
            if (mask is None or mask[j]) and not (causal and j > i):
                weights[j] = features_by_loops(name, q[i]) @ features_by_loops(name, k[j])
        if weights.sum() > 0:
            out[i] = weights @ v / weights.sum()
    return out


@pytest.mark.parametrize(
    ("name", "sizes", "causal"),
    [
        ("elu", (5, 7, 4, 3), False),
        ("elu", (7, 5, 4, 1), True),
        ("elu", (5, 7, 4, 3), True),
        ("relu", (5, 7, 4, 3), False),
        ("relu", (6, 6, 4, 5), True),
        ("random", (7, 5, 4, 1), False),
        ("random", (6, 6, 4, 5), True),
    ],
)
def test_linear_attention_is_its_formula(name, sizes, causal):
    check_layer(
        jax.jit(lambda q, k, v: linear_attention(q, k, v, MAPS[name], causal=causal, block=3)),
        draw(*sizes),
        lambda _, q, k, v: linear_by_loops(q, k, v, None, causal, name),
    )


@pytest.mark.parametrize(
    ("name", "mask", "causal"),
    [
        ("elu", pairs()[0], False),
        ("elu", pairs()[0], True),
        ("random", pairs()[0], True),
        ("random", jnp.zeros(7, bool), False),
    ],
)
def test_masked_linear_attention_is_its_formula(name, mask, causal):
    check_layer(
        jax.jit(
            lambda q, k, v, mask: linear_attention(q, k, v, MAPS[name], mask=mask, causal=causal, block=2)
        ),
        (*draw(), mask),
        lambda _, q, k, v, mask: linear_by_loops(q, k, v, mask, causal, name),
    )


@pytest.mark.parametrize("name", MAPS)
def test_module_and_function_are_one(name):
    q, k, v = draw(6, 6)
    for causal in (False, True):
        found = LinearAttention(MAPS[name])(q, k, v, causal=causal)
        np.testing.assert_array_equal(found, linear_attention(q, k, v, MAPS[name], causal=causal))


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_generation_gives_what_the_causal_form_gives(name, scale):
    q, k, v = draw(40, 40)
    attend = LinearAttention(MAPS[name])
    q, k = scale * q, scale * k
    _, out = jax.lax.scan(lambda state, x: attend.step(state, *x), attend.init_state(4, 3), (q, k, v))
    np.testing.assert_allclose(out, linear_attention(q, k, v, MAPS[name], causal=True, block=7), atol=1e-4)


@pytest.mark.parametrize("name", MAPS)
def test_blocks_change_nothing(name):
    q, k, v = draw(53, 53)

    def loss(q, k, v, block):
        return jnp.sum(jnp.sin(linear_attention(q, k, v, MAPS[name], causal=True, block=block)))

    slope = jax.jit(jax.value_and_grad(loss, (0, 1, 2)), static_argnums=3)
    whole, gradient = slope(q, k, v, 53)
    value, found = slope(q, k, v, 8)
    np.testing.assert_allclose(value, whole, rtol=1e-5)
    for a, b in zip(found, gradient):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_causal_form_does_not_see_the_future():
    q, k, v = draw(6, 6)
    for phi in MAPS.values():
        expected = linear_attention(q, k, v, phi, causal=True, block=3)[:4]
        later = linear_attention(q, k.at[4:].mul(50.0), v.at[4:].add(1.0), phi, causal=True, block=3)[:4]
        np.testing.assert_allclose(later, expected, atol=1e-6)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", MAPS)
def test_query_without_keys_gets_zeros_and_a_finite_gradient(name, causal):
    q, k, v = draw()
    q = q.at[2].set(-1.0)  # under ReLU it has no feature, hence no weight
    mask = jnp.arange(7) > 1  # the causal form leaves queries 0 and 1 nothing
    out, back = jax.vjp(lambda *x: linear_attention(*x, MAPS[name], mask=mask, causal=causal), q, k, v)
    assert all(np.isfinite(g).all() for g in back(jnp.ones_like(out)))
    if causal:
        assert not out[:2].any()
    if name == "relu":
        assert not out[2].any()


@pytest.mark.parametrize("causal", [False, True])
def test_what_a_masked_key_holds_does_not_matter(causal):
    q, k, v = draw(7, 7)
    mask = jnp.arange(7) != 2
    for phi in MAPS.values():
        long = 60 * k  # beside which a key of zeros has by far the largest random features
        found = linear_attention(q, long.at[2].set(0.0), v.at[2].add(9.0), phi, mask=mask, causal=causal)
        expected = linear_attention(q, long, v, phi, mask=mask, causal=causal)
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("causal", [False, True])
def test_long_vectors_do_not_overflow_random_features(causal):
    q, k, v = draw(30, 30)
    out, back = jax.vjp(lambda *x: linear_attention(*x, MAPS["random"], causal=causal), 40 * q, 40 * k, v)
    assert np.isfinite(out).all()
    assert out.any(axis=1).all()
    assert all(np.isfinite(g).all() for g in back(jnp.ones_like(out)))


def test_gradient_of_the_causal_form_keeps_no_sum_per_token():
    n, d = 16_384, 32
    x = jax.ShapeDtypeStruct((n, d), jnp.float32)
    gradient = jax.grad(lambda q, k, v: linear_attention(q, k, v, causal=True).sum(), (0, 1, 2))
    compiled = jax.jit(gradient).lower(x, x, x).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < n * d * d * 4 / 4


@pytest.mark.parametrize("causal", [False, True])
def test_memory_is_linear_in_length(causal):
    def peak(n):
        x = jax.ShapeDtypeStruct((n, 16), jnp.float32)
        run = jax.jit(lambda q, k, v: linear_attention(q, k, v, causal=causal))
        return run.lower(x, x, x).compile().memory_analysis().temp_size_in_bytes

    assert peak(16_384) < 2.5 * peak(8_192)


def test_many_random_features_come_close_to_softmax():
    q, k, v = draw(200, 200, 16, 16)
    expected = attention(q / 2, k / 2, v)

    def error(features):
        @jax.jit
        def one(key):
            found = linear_attention(q / 2, k / 2, v, RandomFeatures(16, features, key=key))
            return jnp.linalg.norm(found - expected) / jnp.linalg.norm(expected)

        return np.mean([one(key) for key in jax.random.split(jax.random.key(0), 4)])

    few, many = error(64), error(4096)
    assert many < 0.05
    assert 4 < few / many < 16  # sixty-four times as many, an eighth of the error


q, k, v = draw()


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((q, k[0], v), {}, "keys have shape (4,), expected (length, width)"),
        ((q, k[:, :2], v), {}, "keys have shape (7, 2), expected (length, 4)"),
        ((q, k, v[:3]), {}, "values have shape (3, 3), expected (7, width)"),
        ((q, k, v), {"mask": jnp.ones((5, 7), bool)}, "mask has shape (5, 7), expected (7,)"),
        ((q, k, v), {"mask": jnp.ones(7, int)}, "mask is of int32, expected bool"),
        ((q, k, v), {"block": 0}, "block is 0, expected at least 1"),
    ],
)
def test_bad_input_is_named(arguments, options, message):
    with pytest.raises(UsageError) as error:
        linear_attention(*arguments, **options)
    assert str(error.value).startswith(f"linear_attention: {message}")


def test_a_token_of_another_width_is_named():
    attend = LinearAttention()
    state = attend.init_state(4, 3)
    with pytest.raises(UsageError, match=r"LinearAttention: value has shape \(2,\), expected \(3,\)"):
        attend.step(state, q[0], k[0], v[0, :2])
    with pytest.raises(UsageError, match=r"LinearAttention: key has shape \(3,\), expected \(4,\)"):
        attend.step(state, q[0], k[0, :3], v[0])
    with pytest.raises(UsageError, match=r"LinearAttention: query has shape \(1, 4\), expected \(width,\)"):
        attend.step(state, q[:1], k[:1], v[0])
    with pytest.raises(UsageError, match="LinearAttention: query has 3 features, expected 4"):
        attend.step(state, q[0, :3], k[0, :3], v[0])
