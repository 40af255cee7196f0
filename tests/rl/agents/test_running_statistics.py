"""Running moments against NumPy over all that was seen."""

import jax
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from populace.rl.agents.running_statistics import Moments, Returns

take_up, update = jax.jit(Moments.update), jax.jit(Returns.update)
normalize, scale = jax.jit(Moments.normalize), jax.jit(Moments.scale)


# Few sizes of a batch, for each of which a program is compiled.
SIZES = st.lists(st.sampled_from([1, 3, 20]), min_size=1, max_size=6)


@given(st.integers(0, 2**31), SIZES, st.floats(-100, 100))
def test_moments_taken_up_in_batches_are_those_of_all(seed, sizes, offset):
    rng = np.random.default_rng(seed)
    batches = [offset + rng.normal(size=(n, 2, 3)) * [1.0, 5.0, 0.1] for n in sizes]
    moments = Moments((3,))
    for batch in batches:
        moments = take_up(moments, batch.astype(np.float32))
    seen = np.concatenate(batches).reshape(-1, 3)
    assert float(moments.count) == len(seen)
    np.testing.assert_allclose(moments.mean, seen.mean(0), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(moments.variance, seen.var(0), rtol=2e-2, atol=1e-3)


def test_what_was_seen_has_mean_0_and_deviation_1_and_outliers_are_cut():
    x = np.random.default_rng(0).normal(3, 7, size=(500, 2)).astype(np.float32)
    moments = take_up(Moments((2,)), x)
    z = np.asarray(normalize(moments, x))
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(z.std(0), 1, atol=1e-4)
    assert np.abs(normalize(moments, np.float32([[1e9, -1e9]]))).tolist() == [[10, 10]]


def test_nothing_is_changed_before_anything_was_seen():
    assert float(normalize(Moments(), np.float32(3.5))) == 3.5
    assert float(scale(Moments(), np.float32(-3.5))) == -3.5


@given(st.integers(0, 2**31), st.floats(0, 1))
def test_rewards_are_divided_by_the_deviation_of_discounted_sums(seed, discount):
    rng = np.random.default_rng(seed)
    reward, done = rng.normal(size=(30, 2)).astype(np.float32), rng.random((30, 2)) < 0.2
    sums, running = [], np.zeros(2)
    for r, ended in zip(reward, done):
        running = r + discount * running
        sums.append(running)
        running = np.where(ended, 0.0, running)
    returns = Returns(2)
    for half in (slice(0, 15), slice(15, 30)):  # episodes go on from one rollout to the next
        returns = update(returns, reward[half], done[half], np.float32(discount))
    np.testing.assert_allclose(returns.moments.variance, np.var(sums), rtol=1e-3)
    np.testing.assert_allclose(
        scale(returns.moments, reward), np.clip(reward / np.std(sums), -10, 10), rtol=1e-3
    )


def test_what_is_always_the_same_is_normalized_to_exactly_0():
    always = np.full((20, 2, 3), 2024.3, np.float32)  # whose mean in float32 is another number
    moments = take_up(take_up(Moments((3,)), always), always)
    np.testing.assert_array_equal(normalize(moments, always), 0)
