"""Replay against a plain Python reference."""

import dataclasses
from collections import deque

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from populace.core.errors import UsageError
from populace.rl.buffers.replay import Replay, fits_bytes
from populace.rl.environments import registry

ADD = jax.jit(Replay.add)


def transitions(first: int, count: int):
    """Return transitions whose every leaf tells which one it is."""
    number = jnp.arange(first, first + count)
    return {
        "observation": number[:, None, None] + jnp.arange(6.0).reshape(1, 2, 3) / 10,
        "action": number.astype(jnp.int32),
        "pixel": (number % 256).astype(jnp.uint8),
        "terminated": number % 2 == 1,
    }


def example():
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), transitions(0, 1))


# Few lengths, and one batch of additions compiled for each: most of the time would go into compiling.
@settings(max_examples=25, deadline=None)
@given(st.sampled_from([1, 3, 4]), st.sampled_from([4, 17, 40]), st.integers(1, 30), st.integers(1, 60))
def test_it_holds_the_last_capacity_transitions(together, length, additions, capacity):
    capacity = min(capacity, length)
    replay, reference = Replay(example(), length, together), deque(maxlen=capacity)
    for i in range(additions):
        replay = ADD(replay, transitions(i * together, together))
        reference.extend(range(i * together, (i + 1) * together))
    drawn = replay.sample(jax.random.key(additions), 400, float(capacity))
    assert set(np.asarray(drawn["action"]).tolist()) <= set(reference)
    number = np.asarray(drawn["action"])
    expected = transitions(0, additions * together)
    for name, leaf in drawn.items():
        np.testing.assert_array_equal(leaf, np.asarray(expected[name])[number])
        assert leaf.dtype == expected[name].dtype


def test_every_transition_is_drawn_as_often():
    replay = Replay(example(), 50, 5)
    for i in range(17):
        replay = replay.add(transitions(5 * i, 5))
    for capacity in (50, 30):
        drawn = np.asarray(replay.sample(jax.random.key(1), 60_000, capacity)["action"])
        kept = np.arange(85 - capacity, 85)
        counts = np.asarray([(drawn == k).sum() for k in kept])
        assert counts.sum() == 60_000
        assert stats.chisquare(counts).pvalue > 1e-3


def test_capacities_differ_under_vmap():
    replay = Replay(example(), 40, 4)
    for i in range(10):
        replay = replay.add(transitions(4 * i, 4))
    keys = jax.random.split(jax.random.key(0), 2)
    capacities = jnp.array([8.0, 40.0])
    drawn = jax.vmap(lambda k, c: replay.sample(k, 2000, c))(keys, capacities)["action"]
    assert int(drawn[0].min()) == 32
    assert int(drawn[1].min()) == 0
    assert int(drawn.max()) == 39


@pytest.mark.parametrize("value", [jnp.inf, -jnp.inf, jnp.nan, -0.0, 1e-40])
def test_floats_are_kept_bit_for_bit(value):
    replay = Replay({"x": jax.ShapeDtypeStruct((), jnp.float32)}, 4)
    replay = replay.add({"x": jnp.full((1,), value, jnp.float32)})
    drawn = np.asarray(replay.sample(jax.random.key(0), 3, 4.0)["x"])
    assert drawn.tobytes() == np.full(3, value, np.float32).tobytes()


def test_bytes_hold_whole_numbers_from_0_to_255_only():
    planes = registry.make("Breakout-MinAtar")
    fits_bytes(planes)
    with pytest.raises(UsageError, match=r"'CartPole-v1' lie in .*; leave uint8_obs out"):
        fits_bytes(registry.make("CartPole-v1"))
    with pytest.raises(UsageError, match="integer type; those of environment 'Breakout-MinAtar' are float32"):
        fits_bytes(dataclasses.replace(planes, origin="host"))
    fits_bytes(dataclasses.replace(planes, origin="host", observation_dtype=np.dtype(np.uint8)))
