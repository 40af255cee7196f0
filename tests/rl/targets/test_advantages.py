"""Returns and advantages against plain loops written from their formulas."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from populace.rl.targets.advantages import discounted_returns, generalized_advantages, standardized


@jax.jit
def estimated(reward, terminated, done, value, following, discount, lam):
    """Return advantages and returns; one program for each shape."""
    return (
        generalized_advantages(reward, terminated, done, value, following, discount, lam),
        discounted_returns(reward, terminated, done, following, discount),
    )


def rollout(seed: int, steps: int, copies: int):
    rng = np.random.default_rng(seed)
    reward, value, following = rng.normal(size=(3, steps, copies))
    terminated = rng.random((steps, copies)) < 0.15
    done = terminated | (rng.random((steps, copies)) < 0.15)
    return reward, terminated, done, value, following


def returns_by_loop(reward, terminated, done, following, discount):
    out = np.zeros_like(reward)
    for copy in range(reward.shape[1]):
        for start in range(len(reward)):
            total, weight = 0.0, 1.0
            for t in range(start, len(reward)):
                total += weight * reward[t, copy]
                weight *= discount
                if terminated[t, copy]:
                    break
                if done[t, copy] or t == len(reward) - 1:
                    total += weight * following[t, copy]
                    break
            out[start, copy] = total
    return out


def advantages_by_loop(reward, terminated, done, value, following, discount, lam):
    out = np.zeros_like(reward)
    for copy in range(reward.shape[1]):
        for start in range(len(reward)):
            weight = 1.0
            for t in range(start, len(reward)):
                bootstrap = 0.0 if terminated[t, copy] else following[t, copy]
                out[start, copy] += weight * (reward[t, copy] + discount * bootstrap - value[t, copy])
                weight *= discount * lam
                if done[t, copy]:
                    break
    return out


# Few shapes, each of which is compiled: one step, less than the loop unrolls, as many, no multiple of it.
shapes = st.sampled_from([(1, 3), (5, 1), (16, 3), (39, 2)])
rollouts = (st.integers(0, 2**31), shapes, st.floats(0, 1, width=32), st.floats(0, 1, width=32))


@given(*rollouts)
def test_advantages_are_the_weighted_sums_of_errors_within_an_episode(seed, shape, discount, lam):
    given = rollout(seed, *shape)
    found, _ = estimated(*given, discount, lam)
    np.testing.assert_allclose(found, advantages_by_loop(*given, discount, lam), rtol=1e-3, atol=1e-3)


@given(*rollouts[:3])
def test_returns_are_discounted_sums_bootstrapped_after_truncation(seed, shape, discount):
    reward, terminated, done, value, following = rollout(seed, *shape)
    _, found = estimated(reward, terminated, done, value, following, discount, 1.0)
    expected = returns_by_loop(reward, terminated, done, following, discount)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


@given(*rollouts[:3])
def test_with_lambda_one_the_advantage_is_the_return_less_the_value(seed, shape, discount):
    reward, terminated, done, value, _ = rollout(seed, *shape)
    # the value after a step is that before the next one, wherever the episode goes on
    following = np.random.default_rng(seed).normal(size=reward.shape)
    following[:-1] = np.where(done[:-1], following[:-1], value[1:])
    found, _ = estimated(reward, terminated, done, value, following, discount, 1.0)
    expected = returns_by_loop(reward, terminated, done, following, discount) - value
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_standardized_counts_only_what_has_weight():
    x = np.array([[1.0, 2.0, 100.0], [4.0, -50.0, 3.0]])
    weight = np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    weighed, all_alike = jax.jit(lambda x, weight: (standardized(x, weight), standardized(x)))(x, weight)
    kept = x[weight > 0]
    np.testing.assert_allclose(np.asarray(weighed)[weight > 0], (kept - kept.mean()) / kept.std(), rtol=1e-5)
    np.testing.assert_allclose(all_alike, (x - x.mean()) / x.std(), rtol=1e-5)


def test_standardizing_equal_numbers_gives_exactly_0():
    @jax.jit
    def found(one, many, weight):
        return standardized(one), standardized(jnp.full(1024, many)), standardized(weight * many, weight)

    behind = np.float32([[0, 0], [1, 1], [0, 1]])  # the first entry does not count
    for x in (0.1, 97.3):  # of neither is the mean of 1024 float32 numbers that number again
        for values in found(np.float32([x]), np.float32(x), behind):
            kept = np.asarray(values) if values.ndim == 1 else np.asarray(values)[behind > 0]
            np.testing.assert_array_equal(kept, 0)
