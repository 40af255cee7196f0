"""Attention token by token: the cache and rotary positions give what the whole causal pass gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.nn.attention.cached import CachedAttention
from populace.nn.attention.linear import LinearAttention
from populace.nn.attention.rotary import RotaryAttention, rotate
from tests.nn.attention.formulas import softmax_by_loops


def draws(n=7, d=4, e=6):
    rng = np.random.default_rng(0)
    return tuple(rng.normal(size=(n, width)).astype(np.float32) for width in (d, d, e))


def stepped(attend, q, k, v):
    def body(state, token):
        return attend.step(state, *token)

    return jax.lax.scan(body, attend.init_state(q.shape[1], v.shape[1]), (q, k, v))[1]


def turned(x, positions):
    half = x.shape[1] // 2
    out = np.empty_like(x)
    for row, place in enumerate(positions):
        for i in range(half):
            t = place * 10_000.0 ** (-2 * i / x.shape[1])
            a, b = x[row, i], x[row, half + i]
            out[row, i], out[row, half + i] = a * np.cos(t) - b * np.sin(t), a * np.sin(t) + b * np.cos(t)
    return out


def test_a_cache_gives_the_causal_pass_and_has_no_room_beyond_its_length():
    q, k, v = draws()
    found = np.asarray(jax.jit(lambda q, k, v: stepped(CachedAttention(6), q, k, v))(q, k, v))
    expected = softmax_by_loops(q, k, v, None, True)
    np.testing.assert_allclose(found[:6], expected[:6], atol=1e-6)
    assert np.isnan(found[6]).all()


@pytest.mark.parametrize("attend", [CachedAttention(7), LinearAttention()], ids=["softmax", "linear"])
def test_rotary_positions_step_as_they_pass(attend):
    q, k, v = draws()
    layer = RotaryAttention(attend)
    passed, found = jax.jit(lambda q, k, v: (layer(q, k, v, causal=True), stepped(layer, q, k, v)))(q, k, v)
    np.testing.assert_allclose(found, passed, atol=2e-6)
    if isinstance(attend, CachedAttention):
        places = np.arange(7)
        by_loops = softmax_by_loops(turned(q, places), turned(k, places), v, None, True)
        np.testing.assert_allclose(passed, by_loops, atol=1e-5)


def test_rotation_tells_distances_alone():
    q, k, _ = draws()
    apart = [rotate(q, jnp.arange(7) + shift) @ rotate(k, jnp.arange(7) + shift).T for shift in (0, 11)]
    np.testing.assert_allclose(*apart, atol=1e-4)
    np.testing.assert_allclose(rotate(q, jnp.arange(7)), turned(q, np.arange(7)), atol=1e-5)


def test_bad_input():
    with pytest.raises(UsageError, match="length is 0, expected"):
        CachedAttention(0)
    with pytest.raises(UsageError, match="width 3, expected an even one"):
        rotate(jnp.zeros((2, 3)), jnp.arange(2))
