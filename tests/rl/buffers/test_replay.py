"""Replay against a plain Python reference."""

import dataclasses
from collections import deque
from functools import cache, partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from populace.core.errors import UsageError
from populace.rl.buffers.replay import Replay, check_uint8
from populace.rl.environments import registry

ADD = jax.jit(Replay.add)


@partial(jax.jit, static_argnums=2)
def draw(replay, seed, count, capacity):
    return replay.sample(jax.random.key(seed), count, capacity)


def transitions(first: int, count: int):
    """Return transitions whose every leaf tells which one it is."""
    number = np.arange(first, first + count)
    return {
        "observation": (number[:, None, None] + np.arange(6.0).reshape(1, 2, 3) / 10).astype(np.float32),
        "action": number.astype(np.int32),
        "pixel": (number % 256).astype(np.uint8),
        "terminated": number % 2 == 1,
    }


@cache
def empty(length: int, add_batch_size: int) -> Replay:
    example = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), transitions(0, 1))
    return jax.jit(lambda: Replay(example, length, add_batch_size))()


# Few shapes, for each of which three programs are compiled.
@settings(max_examples=25)
@given(st.sampled_from([(1, 4), (4, 17), (3, 40)]), st.integers(1, 30), st.integers(1, 60))
def test_it_holds_the_last_capacity_transitions(shape, additions, capacity):
    add_batch_size, length = shape
    capacity = min(capacity, length)
    replay, reference = empty(length, add_batch_size), deque(maxlen=capacity)
    for i in range(additions):
        replay = ADD(replay, transitions(i * add_batch_size, add_batch_size))
        reference.extend(range(i * add_batch_size, (i + 1) * add_batch_size))
    drawn = jax.tree.map(np.asarray, draw(replay, additions, 400, np.float32(capacity)))
    number = drawn["action"]
    assert set(number.tolist()) <= set(reference)
    expected = transitions(0, additions * add_batch_size)
    for name, leaf in drawn.items():
        np.testing.assert_array_equal(leaf, expected[name][number])
        assert leaf.dtype == expected[name].dtype


@pytest.fixture(scope="module")
def full():
    """A replay of 50 that 85 were added to, 5 at a time."""
    replay = empty(50, 5)
    for i in range(17):
        replay = ADD(replay, transitions(5 * i, 5))
    return replay


@pytest.mark.parametrize("capacity", [50, 30])
def test_every_transition_is_sampled_equally_often(full, capacity):
    drawn = np.asarray(draw(full, 1, 60_000, np.float32(capacity))["action"])
    counts = np.bincount(drawn, minlength=85)
    assert counts[85 - capacity :].sum() == 60_000
    assert stats.chisquare(counts[85 - capacity :]).pvalue > 1e-3


def test_every_transition_of_a_large_buffer_can_be_drawn():
    """Of 10 million, floats of 2^23 steps leave out 1.6 million for ever."""
    slots = 10_000_000
    missed = np.ones(slots, np.uint8)
    missed[np.arange(2**23) * slots // 2**23] = 0

    @jax.jit
    def drawn(rows):
        replay = Replay({"x": jax.ShapeDtypeStruct((), np.uint8)}, slots)
        replay = eqx.tree_at(lambda r: (r.rows, r.written), replay, ({"8": rows}, jnp.int32(slots)))
        return replay.sample(jax.random.key(0), 100_000, float(slots))["x"]

    found = np.asarray(drawn(missed[::-1, None]))  # ages count from the end
    assert found.mean() == pytest.approx(missed.mean(), abs=0.006)


def test_capacities_differ_under_vmap(full):
    each = jax.vmap(lambda seed, capacity: draw(full, seed, 2000, capacity)["action"])
    small, large = np.asarray(jax.jit(each)(np.arange(2), np.float32([8, 50])))
    assert (small.min(), small.max()) == (77, 84)
    assert (large.min(), large.max()) == (35, 84)


def test_floats_are_kept_bit_for_bit():
    values = np.array([np.inf, -np.inf, np.nan, -0.0, 1e-40], np.float32)

    @jax.jit
    def drawn(values):
        replay = Replay({"x": jax.ShapeDtypeStruct((5,), np.float32)}, 4).add({"x": values[None]})
        return replay.sample(jax.random.key(0), 3, 4.0)["x"]

    assert np.asarray(drawn(values)).tobytes() == np.stack([values] * 3).tobytes()


def test_uint8_observations_are_integers_from_0_to_255():
    planes = registry.make("Breakout-MinAtar")
    check_uint8(planes)
    with pytest.raises(UsageError, match=r"'CartPole-v1' range from .*; set uint8_obs to false"):
        check_uint8(registry.make("CartPole-v1"))
    with pytest.raises(UsageError, match="integer type; those of environment 'Breakout-MinAtar' are float32"):
        check_uint8(dataclasses.replace(planes, origin="host"))
    check_uint8(dataclasses.replace(planes, origin="host", observation_dtype=np.dtype(np.uint8)))
