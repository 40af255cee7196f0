import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.nn.attention.dot_product import attention
from populace.nn.attention.feature_maps import RandomFeatures
from populace.nn.attention.linear import LinearAttention, linear_attention
from tests.nn.attention.formulas import MAPS, NOTHING, draw, linear_by_loops, pairs
from tests.nn.draws import quick_key
from tests.nn.harness import check_layer


@pytest.mark.parametrize(
    ("name", "sizes", "forms"),
    [
        ("elu", (5, 7, 4, 3), [(False, False), (True, True)]),
        ("elu", (7, 5, 4, 1), [(True, False), (False, True)]),
        ("relu", (6, 6, 4, 5), [(False, False), (True, False)]),
        ("random", (7, 5, 4, 1), [(False, False), (True, True)]),
    ],
)
def test_linear_attention_is_its_formula(name, sizes, forms):
    """Causal and not, masked and not, with more keys than queries and with fewer."""
    check_layer(
        lambda q, k, v, mask: [
            linear_attention(q, k, v, MAPS[name], mask=mask if masked else None, causal=causal, block=3)
            for causal, masked in forms
        ],
        (*draw(*sizes), pairs(*sizes[:2])[0]),
        lambda _, q, k, v, mask: [
            linear_by_loops(q, k, v, mask if masked else None, causal, name) for causal, masked in forms
        ],
        eager=name == "random",
    )


def test_without_keys_everything_is_zero():
    check_layer(
        lambda q, k, v, mask: linear_attention(q, k, v, MAPS["random"], mask=mask, block=2),
        (*draw(), NOTHING),
        lambda _, q, k, v, mask: linear_by_loops(q, k, v, mask, False, "random"),
    )


@pytest.mark.parametrize("name", MAPS)
def test_module_and_function_are_one(name):
    @jax.jit
    def both(q, k, v):
        calls = (LinearAttention(MAPS[name]), lambda *x, **form: linear_attention(*x, MAPS[name], **form))
        return [[call(q, k, v, causal=causal) for causal in (False, True)] for call in calls]

    module, function = both(*draw(6, 6))
    np.testing.assert_array_equal(module, function)


@pytest.mark.parametrize("name", MAPS)
def test_generation_gives_what_the_causal_form_gives(name):
    q, k, v = draw(40, 40)
    attend = LinearAttention(MAPS[name])

    @jax.jit
    def both(q, k, v):
        _, out = jax.lax.scan(lambda state, x: attend.step(state, *x), attend.init_state(4, 3), (q, k, v))
        return out, linear_attention(q, k, v, MAPS[name], causal=True, block=7)

    for scale in np.float32([1, 30]):
        np.testing.assert_allclose(*both(scale * q, scale * k, v), atol=1e-4)


@pytest.mark.parametrize("name", ["elu", "random"])  # with scales for keys, and without, as ReLU
def test_blocks_change_nothing(name):
    def loss(q, k, v, block):
        return jnp.sum(jnp.sin(linear_attention(q, k, v, MAPS[name], causal=True, block=block)))

    slope = jax.value_and_grad(loss, (0, 1, 2))
    (whole, gradient), (value, found) = jax.jit(lambda *x: (slope(*x, 53), slope(*x, 8)))(*draw(53, 53))
    np.testing.assert_allclose(value, whole, rtol=1e-5)
    for a, b in zip(found, gradient):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_causal_form_does_not_see_the_future():
    q, k, v = draw(6, 6)
    later = np.arange(6)[:, None] >= 4
    run = jax.jit(lambda *x: [linear_attention(*x, phi, causal=True, block=3) for phi in MAPS.values()])
    changed = run(q, np.where(later, 50 * k, k), np.where(later, v + 1, v))
    for found, expected in zip(changed, run(q, k, v)):
        np.testing.assert_allclose(np.asarray(found)[:4], np.asarray(expected)[:4], atol=1e-6)


@pytest.mark.parametrize("name", MAPS)
def test_query_without_keys_gets_zeros_and_a_finite_gradient(name):
    q, k, v = draw()
    q[2] = -1.0  # under ReLU it has no feature, hence no weight
    mask = np.arange(7) > 1  # the causal form leaves queries 0 and 1 nothing

    @jax.jit
    def run(q, k, v):
        def one(causal):
            form = {"mask": mask, "causal": causal}
            out, back = jax.vjp(lambda *x: linear_attention(*x, MAPS[name], **form), q, k, v)
            return out, back(jnp.ones_like(out))

        return one(False), one(True)

    for causal, (out, gradient) in enumerate(jax.tree.map(np.asarray, run(q, k, v))):
        assert all(np.isfinite(g).all() for g in gradient)
        if causal:
            assert not out[:2].any()
        if name == "relu":
            assert not out[2].any()


@pytest.mark.parametrize("causal", [False, True])
def test_what_a_masked_key_holds_does_not_matter(causal):
    q, k, v = draw(7, 7)
    mask = np.arange(7) != 2
    run = jax.jit(lambda *x: [linear_attention(*x, phi, mask=mask, causal=causal) for phi in MAPS.values()])
    long = 60 * k  # beside which a key of zeros has by far the largest random features
    changed = run(q, np.where(mask[:, None], long, 0), np.where(mask[:, None], v, v + 9))
    for found, expected in zip(changed, run(q, long, v)):
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("causal", [False, True])
def test_long_vectors_do_not_overflow_random_features(causal):
    @jax.jit
    def run(q, k, v):
        out, back = jax.vjp(lambda *x: linear_attention(*x, MAPS["random"], causal=causal), q, k, v)
        return out, back(jnp.ones_like(out))

    q, k, v = draw(30, 30)
    out, gradient = jax.tree.map(np.asarray, run(40 * q, 40 * k, v))
    assert np.isfinite(out).all()
    assert out.any(axis=1).all()
    assert all(np.isfinite(g).all() for g in gradient)


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
    @jax.jit
    def errors(q, k, v):
        expected = attention(q / 2, k / 2, v)

        def error(features):
            def one(key):
                found = linear_attention(q / 2, k / 2, v, RandomFeatures(16, features, key=key))
                return jnp.linalg.norm(found - expected) / jnp.linalg.norm(expected)

            return jnp.mean(jax.lax.map(one, jax.random.split(quick_key(), 4)))

        return error(64), error(4096)

    few, many = map(float, errors(*draw(200, 200, 16, 16)))
    assert many < 0.05
    assert 4 < few / many < 16  # sixty-four times as many, an eighth of the error


q, k, v = draw()


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((q, k[0], v), {}, "keys have shape (4,), expected (length, width)"),
        ((q, k[:, :2], v), {}, "keys have shape (7, 2), expected (length, 4)"),
        ((q, k, v[:3]), {}, "values have shape (3, 3), expected (7, width)"),
        ((q, k, v), {"mask": np.ones((5, 7), bool)}, "mask has shape (5, 7), expected (7,)"),
        ((q, k, v), {"mask": np.ones(7, np.int32)}, "mask is of int32, expected bool"),
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


def test_far_below_zero_weights_keep_their_ratios():
    """Where `elu(x) + 1` is 1e-8 or 1e-87, of queries as of keys, and the smallest of keys differ much."""
    q = np.float32([[-18, -17.5], [-200, -199], [1, 0.5]])
    keys = [[[0, 1], [1, 0], [0.3, 0.2]], [[-18, -17], [-17.5, -18], [-18, -18.2]]]
    v = np.float32([[0], [1], [2]])
    one = lambda k, causal: linear_attention(q, k, v, causal=causal)  # noqa: E731
    both = jax.jit(lambda k: (one(k, False), one(k, True)))
    wanted = []
    for k in np.float32(keys):
        wanted.append(linear_by_loops(q.astype(np.float64), k.astype(np.float64), v))
        for found, causal in zip(both(k), (False, True)):
            np.testing.assert_allclose(
                found, linear_by_loops(q.astype(np.float64), k.astype(np.float64), v, None, causal), rtol=1e-5
            )
    assert wanted[0][0, 0] == pytest.approx(0.909, abs=5e-4)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_masked_or_behind_reaches_neither_output_nor_gradient(bad):
    q, k, v = draw(6, 6)
    mask = np.arange(6) != 2

    def loss(q, k, v):
        masked = linear_attention(q, k, v, mask=mask)
        return (masked**2).sum() + (linear_attention(q, k, v, causal=True, block=4)[:2] ** 2).sum()

    slope = jax.jit(jax.value_and_grad(loss, (0, 1, 2)))
    k[2], v[2] = 0, 0
    wanted = jax.block_until_ready(slope(q, k, v))  # a program may still read what is changed next
    k[2], v[2] = bad, bad
    for found, expected in zip(jax.tree.leaves(slope(q, k, v)), jax.tree.leaves(wanted)):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    behind = jax.jit(lambda *x: linear_attention(*x, causal=True, block=4))(q, k, v)
    np.testing.assert_array_equal(np.isnan(behind).any(1), np.arange(6) >= 2)
